//! Slots that are used again, named by keys that notice it.

/// Names an entry of a [`Table`]: a slot, and which of its uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Slot.
    pub index: u32,
    /// Use of the slot: a key of an earlier use finds nothing.
    pub generation: u32,
}

impl Key {
    /// Both in one number, for tokens of the poller.
    #[must_use]
    pub fn pack(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.index)
    }

    /// The key that [`Key::pack`] made a number of.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the two halves of the number")]
    pub fn unpack(packed: u64) -> Self {
        Self { index: packed as u32, generation: (packed >> 32) as u32 }
    }
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

/// A slab with generations.
#[derive(Debug)]
pub struct Table<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Table<T> {
    /// Enters what `make` makes of its key.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, value: None });
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.entries[index as usize];
        entry.generation = (entry.generation + 1) & GENERATIONS;
        let key = Key { index, generation: entry.generation };
        entry.value = Some(make(key));
        key
    }

    /// Takes an entry out; its slot is used again.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize).filter(|entry| entry.generation == key.generation)?;
        let value = entry.value.take()?;
        self.free.push(key.index);
        Some(value)
    }

    /// The entry, if it is still there.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation == key.generation { entry.value.as_ref() } else { None }
    }

    /// The entry, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation == key.generation { entry.value.as_mut() } else { None }
    }

    /// Entries.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// All entries with their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0u32..)
            .zip(&self.entries)
            .filter_map(|(index, entry)| entry.value.as_ref().map(|value| (Key { index, generation: entry.generation }, value)))
    }

    /// All entries, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().filter_map(|entry| entry.value.as_mut())
    }

    /// Keys of all entries, of slots from `from` on and at most `count` slots: for walks in pieces.
    pub fn keys(&self, from: usize, count: usize) -> impl Iterator<Item = Key> {
        let until = self.entries.len().min(from.saturating_add(count));
        (from.min(until)..until).filter_map(|index| {
            let entry = &self.entries[index];
            entry.value.as_ref().map(|_| Key { index: u32::try_from(index).unwrap_or(u32::MAX), generation: entry.generation })
        })
    }

    /// Slots, whether used or not.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.entries.len()
    }
}

/// Generations wrap here, so that an id made of slot, worker and generation is exact as a JavaScript number.
const GENERATIONS: u32 = (1 << 27) - 1;

#[cfg(test)]
mod tests {
    use super::{Key, Table};

    #[test]
    fn a_key_of_an_earlier_use_finds_nothing() {
        let mut table = Table::default();
        let first = table.insert_with(|_| 1);
        assert_eq!(table.remove(first), Some(1));
        assert_eq!(table.remove(first), None);
        let second = table.insert_with(|key| key.index);
        assert_eq!(second.index, first.index);
        assert_eq!(table.get(first), None);
        assert_eq!(table.get(second), Some(&0));
        assert_eq!(Key::unpack(second.pack()), second);
        assert_eq!(table.keys(0, 10).collect::<Vec<_>>(), vec![second]);
        assert_eq!(table.len(), 1);
    }
}
