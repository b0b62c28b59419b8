//! Linux's helpers.

use crate::Helper;

/// Every helper of `enum bpf_func_id`, by number.
pub(crate) static HELPERS: &[&Helper] = &[];
