//! What was read of a connection.

/// Octets of a buffer, as long as no frame is longer.
const BYTES: usize = 262_144;

/// A buffer that is read into, and the part of it that is filled.
pub struct Input {
    buffer: Vec<u8>,
    filled: usize,
    /// Offset in the first frame up to which its end-line has been searched.
    pub searched: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self { buffer: vec![0; BYTES], filled: 0, searched: 0 }
    }
}

impl Input {
    /// Where to read into; never empty.
    pub fn room(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Counts octets that were read.
    pub fn add(&mut self, count: usize) {
        self.filled += count;
    }

    /// What is filled, from an offset on.
    pub fn octets(&self, from: usize) -> &[u8] {
        self.buffer.get(from..self.filled).unwrap_or_default()
    }

    /// Forgets the first octets; the rest is searched up to `searched`.
    pub fn take(&mut self, count: usize, searched: usize) {
        if count > 0 {
            self.buffer.copy_within(count..self.filled, 0);
            self.filled -= count;
        }
        self.searched = searched;
    }

    /// True when nothing is filled.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.take(self.filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Input;

    #[test]
    fn a_buffer_grows_and_keeps_what_is_not_taken() {
        let mut input = Input::default();
        let size = input.room().len();
        input.room().fill(b'a');
        input.add(size);
        assert!(!input.room().is_empty());
        input.room()[0] = b'b';
        input.add(1);
        input.take(size - 1, 2);
        assert_eq!((input.octets(0), input.searched), (b"ab".as_slice(), 2));
        input.clear();
        assert!(input.is_empty());
    }
}
