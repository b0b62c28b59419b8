//! Loads and stores: what each kind of pointer allows.
//!
//! | file | holds |
//! |---|---|
//! | `instructions` | loads, stores, atomics as instructions |
//! | `access` | one access through any pointer |
//! | `align` | alignment |
//! | `context` | fields of contexts and of sockets, by table |
//! | `object` | objects of the kernel, by its types |
//! | `region` | memory of a known size: map values, packets, memory that helpers gave |
//! | `stack` | the stack |
//! | `indirect` | memory that helpers read and write |

mod access;
mod align;
mod context;
mod indirect;
mod instructions;
mod object;
mod region;
mod stack;

pub(crate) use indirect::Indirect;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What is loaded into or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing that is followed.
    None,
    Reg(u8),
    /// A constant that is stored.
    Imm(i32),
}

impl Value {
    pub(crate) fn reg(self) -> Option<u8> {
        if let Value::Reg(reg) = self { Some(reg) } else { None }
    }
}

/// Who accesses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The instruction.
    Direct,
    /// The helper that it calls.
    Helper,
}
