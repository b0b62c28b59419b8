//! Memory that a checked run may touch.

/// A stretch of memory. With `slots` it is a row of values, and an access must stay inside one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
