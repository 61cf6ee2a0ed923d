//! Streams of frames: good ones, changed ones, and hostile ones.

use crate::random::Random;

const TIDS: [&str; 4] = ["abcd", "AAAA0000bbbb1111", "a+%=.-", "x9999999999999999999999999999999"];

/// A good frame.
pub fn frame(random: &mut Random) -> Vec<u8> {
    let tid = *random.pick(&TIDS);
    let word = *random.pick(&["SEND", "SEND", "SEND", "REPORT", "AUTH", "200 OK", "413"]);
    let is_response = word.starts_with(|first: char| first.is_ascii_digit());
    let flag = if is_response { "$" } else { *random.pick(&["$", "+", "#"]) };
    let extra = random.below(4);
    let mut head = format!(
        "MSRP {tid} {word}\r\n\
         To-Path: msrp://a.example:1/s{extra};tcp msrps://[::1]:2/x;tcp\r\n\
         From-Path: msrp://b.example:3/y;tcp\r\n"
    );
    head += &"X-Any: \u{fc}n\u{ef} code\r\n".repeat(extra);
    if word != "SEND" || random.once_in(4) {
        return format!("{head}-------{tid}{flag}\r\n").into_bytes();
    }
    head += "Message-ID: m123\r\nByte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n";
    let mut frame = head.into_bytes();
    frame.extend(body(random, tid));
    frame.extend(format!("\r\n-------{tid}{flag}\r\n").as_bytes());
    frame
}

/// A body that looks like the ends of frames, but holds none of its own.
fn body(random: &mut Random, tid: &str) -> Vec<u8> {
    loop {
        let mut body = Vec::new();
        for _ in 0..random.below(14) {
            match random.below(10) {
                0 => body.extend((0..random.below(40)).map(|_| random.byte())),
                1 => body.extend(b"x".repeat(random.below(1500))),
                2 => body.extend(format!("\r\n-------{tid}x$\r\n").as_bytes()),
                3 => body.extend(format!("\r\n-------{}$\r\n", &tid[..tid.len() - 1]).as_bytes()),
                4 => body.extend(format!("\r\n-------{tid}").as_bytes()),
                5 => body.extend(format!("\r\n--------{tid}$\r\n").as_bytes()),
                6 => body.extend(format!("\n-------{tid}$\r\n").as_bytes()),
                7 => body.extend(format!("{tid}$").as_bytes()),
                _ => body.extend(random.pick(&["\r\n", "\r", "\n", "-------", "------", "--------", "-"]).as_bytes()),
            }
        }
        let whole = [b"\r\n", &body[..], b"\r\n"].concat();
        let ends = ["$", "+", "#"].map(|flag| format!("\r\n-------{tid}{flag}\r\n"));
        if !ends.iter().any(|end| whole.windows(end.len()).any(|window| window == end.as_bytes())) {
            return body;
        }
    }
}

pub fn stream(random: &mut Random) -> Vec<u8> {
    (0..=random.below(3)).flat_map(|_| frame(random)).collect()
}

/// Single bytes changed, lost and put in.
pub fn mutated(random: &mut Random, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..=random.below(2) {
        let at = random.below(bytes.len());
        let byte = if random.once_in(2) { *random.pick(b"\r\n -:\t\0\x7f\x80$+#") } else { random.byte() };
        match random.below(3) {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, byte),
        }
        if bytes.is_empty() {
            bytes.push(byte);
        }
    }
    bytes
}

/// Pieces of frames in no order.
pub fn hostile(random: &mut Random) -> Vec<u8> {
    let mut bytes = b"MSRP abcd ".to_vec();
    for _ in 0..random.below(20) {
        match random.below(12) {
            0 => bytes.extend((0..random.below(12)).map(|_| random.byte())),
            1 => bytes.extend(crate::random::uri(random).as_bytes()),
            _ => bytes.extend(
                random
                    .pick(&[
                        "MSRP ",
                        "MSRP abcd ",
                        "SEND\r\n",
                        "To-Path: ",
                        "From-Path: msrp://b:1/y;tcp\r\n",
                        "to-path: msrp://a:1/x;tcp\r\n",
                        "Content-Type: a/b\r\n\r\n",
                        "\r\n",
                        "-------abcd$\r\n",
                        ": ",
                        " ",
                        "\t",
                    ])
                    .as_bytes(),
            ),
        }
    }
    bytes
}
