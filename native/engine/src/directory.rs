//! Which worker each session lives on, for all workers to see; unused with one.

use crate::contract::ConnectionId;
use ahash::AHashMap;
use msrp_core::syntax::uri::Uri;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Sessions of all workers by the random part of their URI.
#[derive(Default)]
pub struct Directory(RwLock<Entries>);

#[derive(Default)]
struct Entries {
    by_secret: AHashMap<Box<[u8]>, Entry>,
    /// Sessions of each client connection.
    of_client: AHashMap<ConnectionId, u32>,
}

struct Entry {
    worker: usize,
    client: ConnectionId,
    /// Somebody other than its client has asked for it: frames for it may be on their way to that worker, where it stays.
    known: AtomicBool,
    /// The session that it has come to, and the one that has come to it.
    host: Option<Box<[u8]>>,
    guest: Option<Box<[u8]>>,
}

impl Directory {
    /// Enters a session, or says that it lives on another worker.
    pub fn note(&self, uri: &[u8], worker: usize, client: ConnectionId) {
        let Some(secret) = secret_of(uri) else { return };
        let mut entries = self.write();
        if let Some(entry) = entries.by_secret.get_mut(secret) {
            entry.worker = worker;
            return;
        }
        let entry = Entry { worker, client, known: AtomicBool::new(false), host: None, guest: None };
        entries.by_secret.insert(secret.into(), entry);
        *entries.of_client.entry(client).or_default() += 1;
    }

    /// A session has ended.
    pub fn forget(&self, uri: &[u8]) {
        let Some(secret) = secret_of(uri) else { return };
        let mut entries = self.write();
        let Some(Entry { client, host, guest, .. }) = entries.by_secret.remove(secret) else { return };
        if let Some(host) = host.and_then(|host| entries.by_secret.get_mut(&host)) {
            host.guest = None;
        }
        if let Some(guest) = guest.and_then(|guest| entries.by_secret.get_mut(&guest)) {
            guest.host = None;
        }
        if let Some(count) = entries.of_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                entries.of_client.remove(&client);
            }
        }
    }

    /// The worker of the session with that random part, for a request of connection `asking`.
    pub fn worker_of(&self, secret: &[u8], asking: ConnectionId) -> Option<usize> {
        let entries = self.read();
        let entry = entries.by_secret.get(secret)?;
        if entry.client != asking && !entry.known.load(Ordering::Relaxed) {
            entry.known.store(true, Ordering::Relaxed);
        }
        Some(entry.worker)
    }

    /// Brings a session to the worker of the one that its client talks to, by `hand_over`, which is given that worker and says whether
    /// it has done so. Nothing happens when they are together, or when frames for it may be on their way: whoever asks from now on
    /// is led to where it is. One only comes to another, which has not moved itself and whose client has no more: those who talk to
    /// one client would all end up on its worker.
    pub fn bring_together(&self, own: &[u8], other: &[u8], hand_over: impl FnOnce(usize) -> bool) -> bool {
        let mut entries = self.write();
        let Some(host) = entries.by_secret.get(other) else { return false };
        host.known.store(true, Ordering::Relaxed);
        let worker = host.worker;
        let takes = host.guest.is_none() && host.host.is_none() && entries.of_client.get(&host.client) == Some(&1);
        let Some(guest) = entries.by_secret.get_mut(own) else { return false };
        // Under the lock: whoever finds it there finds it behind this.
        if !takes || guest.worker == worker || guest.known.load(Ordering::Relaxed) || !hand_over(worker) {
            return false;
        }
        guest.worker = worker;
        guest.host = Some(other.into());
        if let Some(host) = entries.by_secret.get_mut(other) {
            host.guest = Some(own.into());
        }
        true
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The random part of a session's URI.
pub fn secret_of(uri: &[u8]) -> Option<&[u8]> {
    Uri::parse(uri)?.session_id
}

#[cfg(test)]
mod tests {
    use super::Directory;

    const A: &[u8] = b"msrp://r.example:1/aaaa;tcp";
    const B: &[u8] = b"msrp://r.example:1/bbbb;tcp";

    fn two() -> Directory {
        let directory = Directory::default();
        directory.note(A, 0, 10);
        directory.note(B, 1, 20);
        directory
    }

    fn together(directory: &Directory) -> Option<usize> {
        let mut to = None;
        let moved = directory.bring_together(b"aaaa", b"bbbb", |worker| {
            to = Some(worker);
            true
        });
        assert_eq!(moved, to.is_some());
        to
    }

    #[test]
    fn a_session_that_nobody_has_asked_for_goes_to_the_other() {
        let directory = two();
        // Its own client asks before every request.
        assert_eq!(directory.worker_of(b"aaaa", 10), Some(0));
        assert_eq!(together(&directory), Some(1));
        assert_eq!(directory.worker_of(b"aaaa", 20), Some(1));
        assert_eq!(together(&directory), None, "they are together");
    }

    #[test]
    fn one_that_was_asked_for_stays() {
        let directory = two();
        assert_eq!(directory.worker_of(b"aaaa", 20), Some(0));
        assert_eq!(together(&directory), None);
        // Opened again where it is: still known.
        directory.note(A, 0, 10);
        assert_eq!(together(&directory), None);
    }

    #[test]
    fn of_two_that_talk_to_each_other_the_second_stays() {
        let directory = two();
        assert_eq!(together(&directory), Some(1));
        assert!(!directory.bring_together(b"bbbb", b"aaaa", |_| panic!("it moved")));
        // One that somebody has come to stays for good, also when that one has gone.
        directory.forget(A);
        directory.note(A, 0, 11);
        assert!(!directory.bring_together(b"bbbb", b"aaaa", |_| panic!("it moved")));
    }

    #[test]
    fn nobody_moves_to_a_client_with_several_sessions() {
        let directory = two();
        let third = b"msrp://r.example:1/cccc;tcp";
        directory.note(third, 1, 20);
        assert_eq!(together(&directory), None);
        directory.forget(third);
        directory.forget(third);
        assert!(!directory.bring_together(b"aaaa", b"bbbb", |_| false), "it could not be handed over");
        assert_eq!(directory.worker_of(b"aaaa", 10), Some(0));
        assert_eq!(together(&directory), Some(1));
        directory.forget(B);
        directory.forget(A);
        assert_eq!(directory.worker_of(b"aaaa", 1), None);
        assert_eq!(together(&directory), None);
    }

    #[test]
    fn one_comes_to_another_at_a_time_and_nobody_to_one_that_has_moved() {
        let directory = two();
        directory.note(b"msrp://r.example:1/cccc;tcp", 0, 30);
        assert_eq!(together(&directory), Some(1));
        for other in [b"aaaa", b"bbbb"] {
            assert!(!directory.bring_together(b"cccc", other, |_| panic!("it moved")));
        }
        // The first has gone: there is room for another one.
        directory.forget(A);
        assert!(directory.bring_together(b"cccc", b"bbbb", |worker| worker == 1));
    }

    #[test]
    fn one_that_has_moved_and_is_left_alone_takes_another() {
        let directory = two();
        directory.note(b"msrp://r.example:1/cccc;tcp", 0, 30);
        assert_eq!(together(&directory), Some(1));
        directory.forget(B);
        assert!(directory.bring_together(b"cccc", b"aaaa", |worker| worker == 1));
    }
}
