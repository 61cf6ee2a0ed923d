//! Forwarded requests that a response may come back for (relay R-053). Their slots are used again: a frame allocates none.

use crate::connection::Connection;
use crate::route::Route;
use crate::table::{Key, Table};
use crate::tid::{TID_LENGTH, TidSource, slot_of};
use std::rc::Rc;

/// A slot of the table, or none.
pub type Slot = u32;
/// No slot.
pub const NONE: Slot = u32::MAX;

/// A forwarded request.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Transaction {
    tid: [u8; TID_LENGTH],
    generation: u16,
    busy: bool,
    /// Where it came from; that connection may have closed since.
    pub source: Key,
    pub target: Key,
    pub route: Option<Rc<Route>>,
    /// A SEND ends here with a REPORT; anything else is answered end to end.
    pub is_send: bool,
    /// Failure-Report: only `yes` is timed, `partial` waits for bad news (relay section 6.1).
    pub timed: bool,
    pub is_auth: bool,
    pub has_credentials: bool,
    /// Transaction id on the incoming side, of anything but a SEND.
    pub source_tid: Vec<u8>,
    pub message_id: Vec<u8>,
    /// First octet and number of octets of what was sent.
    pub start: u64,
    pub octets: u64,
    pub total: Option<u64>,
    pub started_ms: u64,
    pub deadline_ms: u64,
    /// What the target had been given when this was complete: it is out when the target has sent that much.
    pub queued_up_to: u64,
    older: Slot,
    newer: Slot,
}

impl Transaction {
    fn new() -> Self {
        let nobody = Key { index: u32::MAX, generation: 0 };
        Self {
            tid: [0; TID_LENGTH],
            generation: 0,
            busy: false,
            source: nobody,
            target: nobody,
            route: None,
            is_send: true,
            timed: true,
            is_auth: false,
            has_credentials: false,
            source_tid: Vec::new(),
            message_id: Vec::new(),
            start: 1,
            octets: 0,
            total: None,
            started_ms: 0,
            deadline_ms: 0,
            queued_up_to: 0,
            older: NONE,
            newer: NONE,
        }
    }

    /// A SEND that only bad news come back for is owed nothing.
    fn is_awaited(&self) -> bool {
        !self.is_send || self.timed
    }
}

/// Transactions of one target, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct List {
    pub oldest: Slot,
    newest: Slot,
    pub count: usize,
}

impl Default for List {
    fn default() -> Self {
        Self { oldest: NONE, newest: NONE, count: 0 }
    }
}

/// All transactions of a worker, by slot; each live one is in a list of its target.
#[derive(Debug)]
pub struct TransactionTable {
    /// Those that an answer is owed to.
    pub count: usize,
    worker: usize,
    slots: Vec<Transaction>,
    free: Vec<Slot>,
}

/// SENDs with Failure-Report `partial` of which a late refusal is still told: the latest of each target.
const UNANSWERED_PER_TARGET: usize = 1024;

/// Slots of one worker that a transaction id can name.
const MAX_SLOTS: usize = 1 << 18;

impl TransactionTable {
    /// The table of a worker, whose number its transaction ids carry.
    pub fn new(worker: usize) -> Self {
        // Slot 0 stands for "no transaction".
        Self { count: 0, worker, slots: vec![Transaction::new()], free: Vec::new() }
    }

    /// A free slot, to be filled in and opened or released; none when all are taken.
    pub fn take(&mut self) -> Option<Slot> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        if self.slots.len() >= MAX_SLOTS {
            return None;
        }
        self.slots.push(Transaction::new());
        u32::try_from(self.slots.len() - 1).ok()
    }

    /// The transaction in a slot that was taken.
    #[inline]
    pub fn at(&self, slot: Slot) -> &Transaction {
        &self.slots[slot as usize]
    }

    /// The transaction in a slot that was taken.
    #[inline]
    pub fn at_mut(&mut self, slot: Slot) -> &mut Transaction {
        &mut self.slots[slot as usize]
    }

    /// A new id for the transaction, which remembers it.
    #[inline]
    pub fn new_tid(&mut self, slot: Slot, tids: &mut TidSource) -> [u8; TID_LENGTH] {
        let worker = self.worker;
        let transaction = &mut self.slots[slot as usize];
        transaction.generation = (transaction.generation + 1) & 0xfff;
        transaction.tid = tids.next(worker, slot, transaction.generation);
        transaction.tid
    }

    /// Appends the transaction to its list of the target: from now on a response finds it.
    pub fn open(&mut self, slot: Slot, connections: &mut Table<Connection>) {
        let transaction = &mut self.slots[slot as usize];
        let awaited = transaction.is_awaited();
        let Some(target) = connections.get_mut(transaction.target) else {
            transaction.route = None;
            self.free.push(slot);
            return;
        };
        let list = if awaited { &mut target.awaited } else { &mut target.unanswered };
        transaction.busy = true;
        transaction.newer = NONE;
        transaction.older = list.newest;
        if list.newest == NONE {
            list.oldest = slot;
        } else {
            self.slots[list.newest as usize].newer = slot;
        }
        list.newest = slot;
        list.count += 1;
        let oldest = list.oldest;
        if awaited {
            self.count += 1;
        } else if list.count > UNANSWERED_PER_TARGET {
            self.close(oldest, connections);
        }
    }

    /// The live transaction of an id that came in on `connection`; a response on another one is not believed (relay D-45).
    #[inline]
    pub fn find(&self, tid: &[u8], connection: Key) -> Option<Slot> {
        let (worker, slot) = slot_of(tid)?;
        let transaction = self.slots.get(slot as usize)?;
        (worker == self.worker && transaction.busy && transaction.target == connection && transaction.tid == *tid).then_some(slot)
    }

    /// Ends a transaction; its slot is used again.
    pub fn close(&mut self, slot: Slot, connections: &mut Table<Connection>) {
        self.unlink(slot, connections);
        let transaction = &mut self.slots[slot as usize];
        transaction.busy = false;
        transaction.route = None;
        self.free.push(slot);
    }

    /// Gives back a slot that was taken and never opened.
    pub fn release(&mut self, slot: Slot) {
        self.slots[slot as usize].route = None;
        self.free.push(slot);
    }

    /// Moves a transaction to the list of another target.
    pub fn move_to(&mut self, slot: Slot, target: Key, connections: &mut Table<Connection>) {
        self.unlink(slot, connections);
        let queued_up_to = connections.get(target).map_or(0, Connection::queued_total);
        let transaction = self.at_mut(slot);
        transaction.target = target;
        transaction.queued_up_to = queued_up_to;
        self.open(slot, connections);
    }

    /// Puts a transaction behind all others of its target, to be looked at again at `deadline_ms`.
    pub fn postpone(&mut self, slot: Slot, deadline_ms: u64, connections: &mut Table<Connection>) {
        self.unlink(slot, connections);
        self.at_mut(slot).deadline_ms = deadline_ms;
        self.open(slot, connections);
    }

    fn unlink(&mut self, slot: Slot, connections: &mut Table<Connection>) {
        let transaction = &self.slots[slot as usize];
        let (older, newer, target, awaited) =
            (transaction.older, transaction.newer, transaction.target, transaction.is_awaited());
        let Some(target) = connections.get_mut(target) else { return };
        let list = if awaited { &mut target.awaited } else { &mut target.unanswered };
        if older == NONE {
            list.oldest = newer;
        } else {
            self.slots[older as usize].newer = newer;
        }
        if newer == NONE {
            list.newest = older;
        } else {
            self.slots[newer as usize].older = older;
        }
        list.count -= 1;
        if awaited {
            self.count -= 1;
        }
    }
}
