//! Sockets as a benchmark wants them.

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Begins a connection from `source` to `target`.
pub fn connect(source: IpAddr, target: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    tune(&SockRef::from(&socket))?;
    if source.is_loopback() && source != IpAddr::V4(Ipv4Addr::LOCALHOST) {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&target.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Listens on `address`.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit the congestion control.
    reno(&SockRef::from(&socket));
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Prepares a connection, connected or accepted: nothing waits for more.
pub fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    reno(socket);
    Ok(())
}

/// BBR, a usual default, paces with timers, even on loopback. A kernel that does not allow reno keeps its own.
fn reno(socket: &SockRef<'_>) {
    let _ = socket.set_tcp_congestion(b"reno");
}

/// Loopback addresses to connect from, so that `count` connections find free ports. Only the first one elsewhere.
pub fn source(target: SocketAddr, index: usize, addresses: usize) -> IpAddr {
    if target.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
        return match target {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
    }
    let last = u8::try_from(index % addresses.clamp(1, 250)).unwrap_or_default() + 1;
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// Lets this process open as many files as it may.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
