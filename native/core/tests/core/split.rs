use crate::collect::{collect, options};
use crate::generate::{frame, hostile, mutated, stream};
use crate::random::Random;
use crate::vectors::{is_valid, vectors};

/// Whatever the pieces, the same comes of it.
fn assert_pieces_do_not_matter(bytes: &[u8], random: &mut Random) {
    let strict = random.once_in(2);
    let run = |cuts: &[usize]| collect(options(strict, 2048), bytes, cuts).strip();
    let whole = run(&[]);
    let everywhere: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(run(&everywhere), whole, "{}", bytes.escape_ascii());
    for _ in 0..4 {
        let cuts: Vec<usize> = (0..random.below(8)).map(|_| random.below(bytes.len() + 1)).collect();
        assert_eq!(run(&cuts), whole, "{} at {cuts:?}", bytes.escape_ascii());
    }
    if bytes.len() <= 400 {
        for cut in everywhere {
            assert_eq!(run(&[cut]), whole, "{} at {cut}", bytes.escape_ascii());
        }
    }
}

#[test]
fn valid_streams() {
    for seed in 0..150 {
        let random = &mut Random(seed);
        let bytes = stream(random);
        assert_pieces_do_not_matter(&bytes, random);
    }
}

#[test]
fn mutated_streams() {
    let vectors: Vec<_> = vectors().into_iter().filter(|vector| is_valid(&vector.expected)).collect();
    for seed in 0..300 {
        let random = &mut Random(seed);
        let good = if random.once_in(2) { stream(random) } else { random.pick(&vectors).bytes.clone() };
        let bytes = mutated(random, good);
        assert_pieces_do_not_matter(&bytes, random);
    }
}

#[test]
fn hostile_streams() {
    for seed in 0..400 {
        let random = &mut Random(seed);
        let bytes = hostile(random);
        assert_pieces_do_not_matter(&bytes, random);
    }
}

#[test]
fn valid_streams_are_framed_whole() {
    for seed in 0..300 {
        let random = &mut Random(seed);
        let frames: Vec<_> = (0..=random.below(4)).map(|_| frame(random)).collect();
        let result = collect(options(false, 2048), &frames.concat(), &[]);
        assert_eq!((result.fatal, result.frames.len(), result.rest), (None, frames.len(), 0));
        assert!(result.frames.iter().all(|frame| frame.issue.is_empty()));
    }
}

#[test]
fn at_most_44_bytes_of_a_streamed_body_are_held_back() {
    let tid = "A".repeat(32);
    let almost = format!("\r\n-------{tid}$\r");
    let text = format!(
        "MSRP {tid} SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\nMessage-ID: m123\r\nContent-Type: a/b\r\n\r\n{}{}\r\n-------{tid}$\r\n",
        "z".repeat(2048),
        almost.repeat(200)
    );
    let everywhere: Vec<usize> = (0..text.len()).collect();
    let result = collect(options(false, 2048), text.as_bytes(), &everywhere);
    assert_eq!(result.frames.len(), 1);
    assert_eq!(result.frames[0].flag, b'$');
    assert!((43..=44).contains(&result.most_held), "{}", result.most_held);
}

#[test]
fn what_is_kept_of_a_frame_is_bounded() {
    let every = |step: usize, bytes: &[u8]| (0..bytes.len()).step_by(step).collect::<Vec<_>>();
    let endless = format!("MSRP abcd SEND\r\n{}", "X-Header: value\r\n".repeat(9000)).into_bytes();
    let result = collect(options(false, 2048), &endless, &every(1000, &endless));
    assert_eq!(result.fatal.unwrap().0, "E_LIMIT");
    assert!(result.most_kept <= 65536 + 8192 + 1000);
    let line = format!("MSRP abcd SEND\r\nX: {}", "y".repeat(20000)).into_bytes();
    assert_eq!(collect(options(false, 2048), &line, &every(100, &line)).fatal.unwrap().0, "E_LIMIT");
}

#[test]
fn bodies_full_of_lookalikes_are_passed_on_in_as_many_records_as_there_are_reads() {
    for unit in ["-", "\r\n-------", "\r\n-------abc", "\r\n-------abcd", "\r\n-------abcdX\r\n", "\r", "\r\n", "-x"] {
        let head = "MSRP abcd SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\nContent-Type: a/b\r\n\r\n";
        let body = [unit.repeat((1 << 20) / unit.len()).as_bytes(), b"!"].concat();
        let bytes = [head.as_bytes(), &body, b"\r\n-------abcd$\r\n"].concat();
        let cuts: Vec<usize> = (0..128).map(|piece| (piece * bytes.len()) >> 7).collect();
        let result = collect(options(false, 2048), &bytes, &cuts);
        assert_eq!(result.frames.len(), 1, "{unit:?}");
        assert_eq!(result.frames[0].body.as_ref().unwrap(), &body);
        assert!(result.scans <= 3 * 129, "{}", result.scans);
    }
}

#[test]
fn a_framer_that_forgets_takes_no_paths_over() {
    use msrp_core::frame::record::{RECORD_WORDS, bit, word};
    use msrp_core::frame::{Framer, FramerOptions};
    let frame = b"MSRP abcd SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n-------abcd$\r\n";
    let mut framer = Framer::new(FramerOptions::default());
    let mut records = [0; RECORD_WORDS];
    let mut bits = || {
        assert_eq!(framer.scan(frame, 0, frame.len(), &mut records), 1);
        records[word::BITS] & (bit::NEW_PATHS | bit::SAME_PATHS)
    };
    assert_eq!([bits(), bits()], [bit::NEW_PATHS, bit::SAME_PATHS]);
    framer.forget_paths();
    assert_eq!(framer.scan(frame, 0, frame.len(), &mut records), 1);
    assert_eq!(records[word::BITS] & (bit::NEW_PATHS | bit::SAME_PATHS), bit::NEW_PATHS);
}

#[test]
fn a_frame_without_from_path_does_not_change_what_is_known_of_the_paths_of_others() {
    let good = "MSRP abcd SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n-------abcd$\r\n";
    let bad = "MSRP abcd SEND\r\nTo-Path: msrp://c:1/x;tcp\r\n-------abcd$\r\n";
    let result = collect(options(false, 2048), [good, bad, good].concat().as_bytes(), &[]);
    let told: Vec<_> = result.frames.iter().map(|frame| (frame.issue, frame.session.as_str())).collect();
    assert_eq!(told, [("", "x"), ("E_PATH_MISSING", ""), ("", "x")]);
}

#[test]
fn known_paths_change_nothing_but_the_bits_that_tell_of_them() {
    use msrp_core::frame::record::{RECORD_WORDS, bit, kind, word};
    use msrp_core::frame::{FrameLimits, Framer, FramerOptions};
    let paths = "To-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n";
    let frame = |tid: &str| format!("MSRP {tid} SEND\r\n{paths}X: y\r\n-------{tid}$\r\n");
    let frames = [frame("abcd"), frame(&"a".repeat(32)), frame("abcd")];
    let (mut taken_over, mut failed) = (0, 0);
    for header_bytes in 0..160 {
        let limits = FrameLimits { header_bytes, ..FrameLimits::default() };
        let options = FramerOptions { limits, ..FramerOptions::default() };
        let (mut remembers, mut forgets) = (Framer::new(options), Framer::new(options));
        let (mut a, mut b) = ([0; RECORD_WORDS], [0; RECORD_WORDS]);
        for frame in &frames {
            remembers.scan(frame.as_bytes(), 0, frame.len(), &mut a);
            forgets.forget_paths();
            forgets.scan(frame.as_bytes(), 0, frame.len(), &mut b);
            taken_over += u32::from(a[word::BITS] & bit::SAME_PATHS != 0);
            failed += u32::from(a[word::KIND] == kind::ERROR);
            for record in [&mut a, &mut b] {
                record[word::BITS] &= !(bit::SAME_PATHS | bit::NEW_PATHS);
            }
            assert_eq!(a, b, "{header_bytes} {frame}");
        }
    }
    assert!(taken_over > 30 && failed > 100, "{taken_over} {failed}");
}
