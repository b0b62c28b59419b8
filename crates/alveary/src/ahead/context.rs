//! The structs that stand for Linux's contexts in C: the UAPI's fields by their names, addresses as pointers.

use alveary_abi::ProgType;
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Width;
use alveary_runtime::{Backing, Step, Store};
use alveary_spec::Program;

/// A context.
#[derive(Debug)]
pub(super) struct Context {
    /// Name of the struct in C, behind `alveary_`.
    pub(super) name: &'static str,
    /// Name of the struct in Rust.
    pub(super) rust: &'static str,
    /// What the UAPI calls it.
    pub(super) linux: &'static str,
    types: &'static [ProgType],
    pub(super) fields: &'static [Field],
    pub(super) backings: &'static [Backing],
}

/// A member of the struct.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Elements of an array.
    pub(super) count: usize,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pointer,
    Number(Width),
}

const ANY: u64 = u64::MAX;
/// `NO_QUEUE_MAPPING` is no queue.
const LAST_QUEUE: u64 = 0xfffe;

/// A line is a member with its offset, kind and count, and behind `<=` the most that programs may store in it.
macro_rules! context {
    ($($off:literal $name:ident: $width:ident $($pointer:ident)? [$count:literal] $(<= $max:expr)?;)*) => {
        const FIELDS: &[Field] = &[$(Field {
            name: stringify!($name),
            kind: context!(@kind $width $($pointer)?),
            count: $count,
        }),*];
        const BACKINGS: &[Backing] = &[$(Backing {
            field: stringify!($name),
            load: &[Step::Load(Width::$width, $off)],
            store: context!(@store $width $off $(<= $max)?),
        },)*
            // There are no sockets.
            Backing::read("sk", &[Step::Const(0)]),
        ];
    };
    (@kind $width:ident pointer) => { Kind::Pointer };
    (@kind $width:ident) => { Kind::Number(Width::$width) };
    (@store $width:ident $off:literal) => { None };
    (@store $width:ident $off:literal <= $max:expr) => { Some(Store { width: Width::$width, off: $off, max: $max }) };
}

mod xdp {
    use super::*;
    context! {
        0 data: B8 pointer [1];
        8 data_end: B8 pointer [1];
        16 data_meta: B8 pointer [1];
        24 ingress_ifindex: B4 [1];
        28 rx_queue_index: B4 [1];
        32 egress_ifindex: B4 [1];
    }
    pub(super) static CONTEXT: Context = Context {
        name: "xdp",
        rust: "Xdp",
        linux: "xdp_md",
        types: &[ProgType::XDP],
        fields: FIELDS,
        backings: BACKINGS,
    };
}

mod skb {
    use super::*;
    context! {
        0 data: B8 pointer [1];
        8 data_end: B8 pointer [1];
        16 data_meta: B8 pointer [1];
        24 tstamp: B8 [1] <= ANY;
        32 hwtstamp: B8 [1];
        40 len: B4 [1];
        44 pkt_type: B4 [1];
        48 mark: B4 [1] <= ANY;
        52 priority: B4 [1] <= ANY;
        56 protocol: B4 [1];
        60 vlan_present: B4 [1];
        64 vlan_tci: B4 [1];
        68 vlan_proto: B4 [1];
        72 ingress_ifindex: B4 [1];
        76 ifindex: B4 [1];
        80 hash: B4 [1];
        84 cb: B4 [5] <= ANY;
        104 napi_id: B4 [1];
        108 wire_len: B4 [1];
        112 gso_segs: B4 [1];
        116 gso_size: B4 [1];
        120 queue_mapping: B2 [1] <= LAST_QUEUE;
        122 tc_index: B2 [1] <= ANY;
        124 tc_classid: B2 [1] <= ANY;
        126 tstamp_type: B1 [1];
    }
    pub(super) static CONTEXT: Context = Context {
        name: "skb",
        rust: "Skb",
        linux: "__sk_buff",
        types: &[ProgType::SOCKET_FILTER, ProgType::SCHED_CLS, ProgType::SCHED_ACT],
        fields: FIELDS,
        backings: BACKINGS,
    };
}

impl Context {
    /// The context of a program.
    ///
    /// # Errors
    /// Programs of its type have none in C.
    pub(super) fn of(program: &Program) -> Result<&'static Context, Diagnostic> {
        let all = [&xdp::CONTEXT, &skb::CONTEXT];
        all.into_iter().find(|context| context.types.contains(&program.ty)).ok_or_else(|| {
            let message =
                format!("program `{}` cannot be compiled ahead of time: its context has no struct in C", program.name);
            Diagnostic::new("ahead", message, Place::Nowhere)
                .found(format!("section `{}`", program.section))
                .expected("a program for XDP, tc or a socket filter")
        })
    }
}
