//! Memory that a checked run may touch, and how an access is held against it.

use std::cell::RefCell;

/// A stretch of memory. With `slots` it is a row of values, and an access must stay inside one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub addr: u64,
    /// Bytes.
    pub len: u64,
    /// Stores are allowed.
    pub write: bool,
    /// Which parts of it may be touched; `None`: all.
    pub slots: Option<Slots>,
}

/// Equally spaced parts of a [`Region`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Distance from one part to the next; the first begins at the region's start.
    pub stride: u32,
    /// Bytes of each part that may be touched, from its start.
    pub size: u32,
}

/// The regions of a run, by the owner's own numbering. Empty regions cover nothing.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    rows: RefCell<Vec<Row>>,
}

/// A region, ready for division by its stride.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    region: Region,
    /// ⌈2⁶⁴ / stride⌉: the quotient of a 32-bit offset is the upper half of its product with this.
    reciprocal: u64,
}

/// Consecutive bytes that may all be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) addr: u64,
    pub(crate) len: u64,
    pub(crate) write: bool,
}

impl Span {
    /// Whether `len` bytes at `addr` are inside.
    pub(crate) fn covers(&self, addr: u64, len: u64) -> bool {
        let from = addr.wrapping_sub(self.addr);
        from < self.len && len <= self.len - from
    }
}

impl Regions {
    pub(crate) fn set(&self, at: usize, region: Region) {
        let reciprocal = match region.slots {
            Some(Slots { stride, .. }) if stride > 1 => u64::MAX / u64::from(stride) + 1,
            _ => 0,
        };
        let mut rows = self.rows.borrow_mut();
        if rows.len() <= at {
            rows.resize(at + 1, Row::default());
        }
        rows[at] = Row { region, reciprocal };
    }

    pub(crate) fn get(&self, at: usize) -> Option<Region> {
        self.rows.borrow().get(at).map(|row| row.region)
    }

    pub(crate) fn clear(&self) {
        self.rows.borrow_mut().clear();
    }

    pub(crate) fn count(&self) -> usize {
        self.rows.borrow().len()
    }

    /// The span that `len` bytes at `addr` lie in.
    pub(crate) fn find(&self, addr: u64, len: u64) -> Option<Span> {
        self.rows.borrow().iter().filter_map(|row| row.span(addr)).find(|span| span.covers(addr, len))
    }
}

impl Row {
    /// The region's part that `addr` lies in.
    fn span(&self, addr: u64) -> Option<Span> {
        let Region { addr: start, len, write, slots } = self.region;
        let from = addr.wrapping_sub(start);
        if from >= len {
            return None;
        }
        let Some(Slots { stride, size }) = slots else {
            return Some(Span { addr: start, len, write });
        };
        let stride = u64::from(stride);
        let index = match u32::try_from(from) {
            Ok(from) if self.reciprocal != 0 => ((u128::from(from) * u128::from(self.reciprocal)) >> 64) as u64,
            _ => from.checked_div(stride)?,
        };
        let slot = index * stride;
        Some(Span { addr: start + slot, len: u64::from(size).min(stride).min(len - slot), write })
    }
}

#[cfg(test)]
mod tests;
