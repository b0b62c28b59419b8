//! The context structs of the UAPI, field by field: who may read and write what.
//!
//! Source: `include/uapi/linux/bpf.h` for the layout, the `*_is_valid_access` functions of `net/core/filter.c` for
//! the rules.

mod sk_buff;
mod xdp_md;

pub use sk_buff::SK_BUFF;
pub use xdp_md::XDP_MD;
