//! Reading what programs send, and maps' memory.
//!
//! | file | holds |
//! |---|---|
//! | `mapping` | memory that is shared with the kernel |
//! | `ring` | ring buffers |
//! | `perf` | perf event arrays as buffers, one for each CPU |
//! | `array` | the values of arrays that may be mapped |
//! | `arena` | arenas |
//! | `wait` | waiting for any of several |
//! | `stream` | the same for tokio |

mod arena;
mod array;
mod mapping;
mod perf;
mod ring;
#[cfg(feature = "tokio")]
mod stream;
mod wait;

pub use arena::MappedArena;
pub use array::MappedArray;
pub use perf::{PerfBuffer, PerfRecord, PerfSlot};
pub use ring::RingBuffer;
#[cfg(feature = "tokio")]
pub use stream::{Event, EventStream};
pub use wait::Waiter;
