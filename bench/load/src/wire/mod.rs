//! Frames of RFC 4975 and 4976 as octets: finding them, taking them apart, writing them.

pub mod digest;
pub mod encode;
pub mod end_line;
pub mod head;
pub mod scan;
pub mod tid;
