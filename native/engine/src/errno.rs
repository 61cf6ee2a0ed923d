//! Errors of the operating system by their names, as operators know them.

use std::io::{Error, ErrorKind};

/// `ECONNRESET` and the like; the text of the system for a rare one.
#[must_use]
pub fn name(error: &Error) -> String {
    let name = match error.kind() {
        ErrorKind::ConnectionReset => "ECONNRESET",
        ErrorKind::ConnectionRefused => "ECONNREFUSED",
        ErrorKind::ConnectionAborted => "ECONNABORTED",
        ErrorKind::BrokenPipe => "EPIPE",
        ErrorKind::TimedOut => "ETIMEDOUT",
        ErrorKind::HostUnreachable => "EHOSTUNREACH",
        ErrorKind::NetworkUnreachable => "ENETUNREACH",
        ErrorKind::AddrInUse => "EADDRINUSE",
        ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        ErrorKind::PermissionDenied => "EACCES",
        ErrorKind::NotConnected => "ENOTCONN",
        ErrorKind::InvalidInput => "EINVAL",
        _ => return error.to_string(),
    };
    name.to_owned()
}
