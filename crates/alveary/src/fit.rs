//! What an object leaves to its loader: sizes that depend on the machine. The Spec stays as the file says it.

use alveary_abi::MapType;
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Endian;
use alveary_spec::{Kernel, MapSpec, Resolved};

/// Refuses an object for machines of the other byte order: its data, and what its programs assume of memory.
pub(crate) fn byte_order(resolved: &Resolved) -> Result<(), Diagnostic> {
    let name = |endian| match endian {
        Endian::Little => ("little-endian", "bpfel"),
        Endian::Big => ("big-endian", "bpfeb"),
    };
    if resolved.endian == Endian::HOST {
        return Ok(());
    }
    let ((found, _), (expected, target)) = (name(resolved.endian), name(Endian::HOST));
    let message = format!("a {found} object cannot be loaded on a {expected} machine");
    Err(Diagnostic::new("byte-order", message, Place::Nowhere)
        .expected(format!("an object compiled for {expected} machines"))
        .found(format!("one compiled for {found} machines"))
        .help(format!("compile it with `-target {target}`, or with `-target bpf` on this machine")))
}

/// The map as it is made for this kernel, with its inner maps: what libbpf does to the sizes.
pub(crate) fn map(spec: &MapSpec, kernel: &Kernel) -> MapSpec {
    let mut spec = spec.clone();
    let most = &mut spec.def.max_entries;
    match spec.def.ty {
        // An entry for each CPU, unless it says how many.
        MapType::PERF_EVENT_ARRAY if *most == 0 => *most = kernel.cpus.max(1),
        MapType::RINGBUF | MapType::USER_RINGBUF => *most = ring_size(*most, kernel.page),
        _ => {}
    }
    spec.inner = spec.inner.map(|inner| Box::new(map(&inner, kernel)));
    spec
}

/// The next power of two that is a number of whole pages. A size of zero was forgotten, and one that has no next does
/// not exist: both stay, for the kernel to refuse.
fn ring_size(bytes: u32, page: u32) -> u32 {
    if bytes == 0 {
        return 0;
    }
    bytes.max(page).checked_next_power_of_two().unwrap_or(bytes)
}
