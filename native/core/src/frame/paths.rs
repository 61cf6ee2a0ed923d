use crate::frame::record::{Record, bit, word};

/// To-Path and From-Path lines of the last frame of a kind, so that the next with the same ones need not be looked at.
#[derive(Debug, Default)]
pub(crate) struct PathBlock {
    /// Empty: nothing is known. It grows to the longest paths seen and is used again for others.
    bytes: Vec<u8>,
    /// Offsets in `bytes`: To-Path, From-Path.
    values: [u32; 4],
}

impl PathBlock {
    pub(crate) fn forget(&mut self) {
        self.bytes.clear();
    }

    /// Length of the two lines when `bytes` begins with them.
    #[inline]
    pub(crate) fn matched(&self, bytes: &[u8]) -> Option<usize> {
        let length = self.bytes.len();
        (length != 0 && bytes.get(..length)? == self.bytes).then_some(length)
    }

    /// Writes the offsets of the values of lines that begin at `at`.
    #[inline]
    pub(crate) fn write(&self, at: u32, record: &mut Record) {
        let [to_start, to_end, from_start, from_end] = self.values;
        record[word::TO_START] = at + to_start;
        record[word::TO_END] = at + to_end;
        record[word::FROM_START] = at + from_start;
        record[word::FROM_END] = at + from_end;
        record[word::BITS] |= bit::SAME_PATHS;
    }

    /// Remembers the `lines`, which begin at `at`; their values are in the record.
    pub(crate) fn remember(&mut self, lines: &[u8], at: u32, record: &Record) {
        self.bytes.clear();
        self.bytes.extend_from_slice(lines);
        self.values =
            [record[word::TO_START] - at, record[word::TO_END] - at, record[word::FROM_START] - at, record[word::FROM_END] - at];
    }
}
