//! Numbers that look random and are the same in every run, and what is made of them.

/// `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.word() % limit as u64).unwrap()
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Parts of URIs, some of them bad.
pub fn uri(random: &mut Random) -> String {
    let scheme = random.pick(&["msrp", "msrps", "MSRP", "mSrPs", "msrp", "msrps", "msr"]);
    let userinfo = random.pick(&["", "", "", "u@", "u:p;x@", "u%40@", "@", "u%4@"]);
    let host = match random.below(6) {
        0 => format!(
            "[{}]",
            random.pick(&["::1", "0:0::1", "2001:DB8::A", "::ffff:1.2.3.4", "::1.2.3.04", "1:2:3:4:5:6:7::", ":"])
        ),
        1 => (*random.pick(&["%41.example", "a%2Db", "a%c3%bc", "A%C3%BC", "a%zz", "", "_-.~!$&'()*+,="])).to_owned(),
        _ => (*random.pick(&["a.example", "A.Example", "10.0.0.1", "relay"])).to_owned(),
    };
    let port = random.pick(&["", ":1", ":2855", ":02855", ":65535", ":65536", ":0", ":"]);
    let session = random.pick(&["", "/x", "/X", "/aB9~._-+=/", "/a/b", "/", "/%41"]);
    let transport = random.pick(&[";tcp", ";TCP", ";ws", ";tcp;a=b", ";tcp;c", ";", "", ";tcp;=", ";t-p"]);
    format!("{scheme}://{userinfo}{host}{port}{session}{transport}")
}
