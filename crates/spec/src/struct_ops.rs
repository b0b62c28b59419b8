//! A kernel interface that an object fills in (`.struct_ops`): a TCP congestion control, a scheduler.

use alveary_btf::TypeId;
use std::sync::Arc;

/// What an object puts into a map of type `struct_ops`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructOps {
    /// The interface's name in the kernel, without the flavour that the object may have given it
    /// (`tcp_congestion_ops`).
    pub interface: String,
    /// The struct as the object declares and fills it, pointers to functions left zero.
    pub bytes: Vec<u8>,
    /// The functions, in the struct's order.
    pub members: Vec<StructOpsMember>,
    /// It is made unless told otherwise (`SEC("?.struct_ops")`: not).
    pub create: bool,
    /// The same for one kernel; `None` in a Spec, and where the kernel's types are not known.
    pub kernel: Option<StructOpsValue>,
}

/// A function of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructOpsMember {
    /// Name of the member (`ssthresh`).
    pub name: String,
    /// Its place in the object's struct, in bytes.
    pub offset: u32,
    /// The program that it is.
    pub program: String,
}

/// What a kernel is given: its own struct, found member by member by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructOpsValue {
    /// The module whose interface it is: both types count in its types. `None` is the kernel itself.
    pub module: Option<Arc<str>>,
    /// The type of the map's value (`struct bpf_struct_ops_tcp_congestion_ops`): `btf_vmlinux_value_type_id`.
    pub value_type: TypeId,
    /// The interface's type: what the member programs are loaded for.
    pub ty: TypeId,
    /// The map's value, pointers to functions left zero.
    pub bytes: Vec<u8>,
    /// Where in the value the descriptor of each program belongs, as 8 bytes.
    pub programs: Vec<(u32, Arc<str>)>,
}
