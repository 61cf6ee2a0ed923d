//! Status codes and the Status header (RFC 4975 sections 7.1.2 and 10).

/// A Status value: namespace, code, comment (core C-024).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// Three digits; `000` has the codes of responses.
    pub namespace: [u8; 3],
    /// 0…999.
    pub code: u16,
    /// What follows the space behind the code; `None` without one.
    pub comment: Option<&'a [u8]>,
}

impl<'a> Status<'a> {
    /// Parses `3DIGIT SP 3DIGIT [SP comment]`.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (&namespace, rest) = value.split_first_chunk::<3>()?;
        let (code, rest) = rest.strip_prefix(b" ")?.split_first_chunk::<3>()?;
        if !namespace.iter().chain(code).all(u8::is_ascii_digit) {
            return None;
        }
        let comment = match rest {
            [] => None,
            [b' ', comment @ ..] => Some(comment),
            _ => return None,
        };
        let code = code.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
        Some(Self { namespace, code, comment })
    }
}

/// Comment for a status code; empty for an unknown one. Comments carry no meaning on the wire (core C-005).
#[must_use]
pub const fn status_comment(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Timeout",
        413 => "Message Too Large",
        415 => "Unsupported Media Type",
        423 => "Interval Out-of-Bounds",
        424 => "Malformed Nickname",
        425 => "Nickname Reserved or In Use",
        428 => "Private Messages Not Supported",
        481 => "Session Does Not Exist",
        501 => "Not Implemented",
        506 => "Session Already In Use",
        _ => "",
    }
}
