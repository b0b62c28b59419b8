//! Which messages belong together, and who explains them.

use super::{Story, draft::Draft};

#[cfg(test)]
mod tests;

mod align;
mod argument;
mod arithmetic;
mod context;
mod control;
mod function;
mod held;
mod helper;
mod looping;
mod maps;
mod null;
mod object;
mod packet;
mod pointer;
mod range;
mod returned;
mod scalar;
mod size;
mod stack;
mod uninit;

/// Messages with one explanation.
struct Family {
    /// Its name, which documentation and tests know it by.
    code: &'static str,
    /// The message holds one of these.
    says: &'static [&'static str],
    explain: fn(&Story<'_>, &mut Draft),
}

const fn family(code: &'static str, says: &'static [&'static str], explain: fn(&Story<'_>, &mut Draft)) -> Family {
    Family { code, says, explain }
}

/// The first family that a message fits counts.
#[rustfmt::skip] // a table
const FAMILIES: &[Family] = &[
    family("global-function", &["Global function "], function::prototype),
    family("invalid-arguments", &["Caller passes invalid args"], function::arguments),
    family("packet-access", &["offset is outside of the packet"], packet::explain),
    family("special-field", &["cannot be accessed directly", "cannot be accessed indirectly", "kptr access"], maps::special),
    family("argument-type", &[" expected="], argument::kind),
    family("maybe-null", &["_or_null'", "or_null_'", "null-check it first", "is expected to be non-NULL"], null::explain),
    family(scalar::CODE, &["invalid mem access '"], scalar::explain),
    family("uninitialised", &["!read_ok"], uninit::explain),
    family("size", &["either use unsigned or 'var &= const'", "zero-sized read", "unbounded memory access, use 'var",
        "is not a known constant'"], size::explain),
    family("out-of-range", &["outside of the allowed memory range", "either use unsigned index", "make sure to bounds check"],
        range::explain),
    family("stack-bounds", &["invalid read from stack R", "invalid write to stack", "invalid variable-offset",
        "invalid unbounded variable-offset", "variable offset stack pointer"], stack_bounds),
    family("stack-unwritten", &["invalid read from stack off"], stack::unwritten),
    family("stack-variable", &["variable stack access"], stack::variable),
    family("partial-pointer", &["invalid size of register", "attempt to corrupt spilled", "spilled ptr in range"], stack::spill),
    family("stack-pointer-escapes", &["into stack frame of the caller"], stack::callers),
    family("stack-pointer-escapes", &["cannot return stack pointer"], stack::returned),
    family("context-field", &["invalid bpf_context access"], context::field),
    family("moved-pointer", &["dereference of modified", "disallowed"], context::moved),
    family("socket-field", &["sock access off", "sock_common access off", "flow keys off"], context::socket),
    family("return-value", &["should have been in [", "is not a known value", "is not a scalar value", "R0 not a scalar"],
        returned::explain),
    family("helper-not-allowed", &["cannot use helper", "invalid func unknown"], helper::not_allowed),
    family("licence", &["GPL-restricted"], helper::gpl),
    family("sleepable", &["be sleepable\n"], helper::sleepable),
    family("sleeps", &["might sleep", "that may sleep"], helper::sleeps),
    family("packet-argument", &["helper access to the packet"], argument::packet),
    family("read-only", &[" cannot write into ", "write to change key"], argument::read_only),
    family("constant-string", &["readonly map'", "constant address'", "not zero-terminated", "Invalid format string"],
        argument::string),
    family("reference-leak", &["would lead to reference leak"], held::leak),
    family("lock", &["bpf_spin_lock-ed region", "while holding a lock", "Locking two", "without taking a lock", "of different lock"],
        held::lock),
    family("not-held", &["must be referenced when", "not been acquired before", "must have zero offset when"], held::release),
    family("map-type", &["cannot pass map_type", "expected prog array map", "not allowed for map"], maps::wrong_type),
    family("map-forbidden", &["into map forbidden", "from map forbidden"], maps::forbidden),
    family("special-place", &["doesn't point to 'struct", "has to be at the constant offset", "has to have BTF", "has no valid bpf_"],
        maps::misplaced),
    family("map-unusable", &["progs cannot use bpf_", "cannot be used in prog", "Sleepable programs can only"], maps::unusable),
    family("map-address", &["direct value", "access to map value pointer"], maps::direct),
    family("packet-write", &["cannot write into packet"], maps::packet),
    family("kernel-field", &["access beyond struct", "cannot access ptr member", "access beyond the end of member",
        "doesn't have field at offset", "doesn't have size", "is not a struct"], object::field),
    family("kernel-object", &[" is ptr_", "only read is supported", "from non-GPL compatible program", " but ",
        "may write into memory pointed by", "Possibly NULL pointer", "invalid return type"], object::explain),
    family("map-pointer", &["invalid negative access: off", "only read from bpf_", "only read from lpm_"], maps::as_memory),
    family("buffer", &["buffer access", "variable buffer offset"], context::buffer),
    family("atomic", &["BPF_ATOMIC stores into", "BPF_ATOMIC loads from"], maps::atomic),
    family("different-pointers", &["same insn cannot be used"], maps::different),
    family("privilege", &["for !root", "CAP_BPF and CAP_SYS_ADMIN", "CAP_PERFMON and CAP_SYS_ADMIN", "for speculative verification",
        "mixed signed bounds", "unsupported alu operation", "different maps, paths or scalars", "beyond pointer bounds",
        "abusing map_ptr", "back-edge from insn"], pointer::privilege),
    family("pointer-arithmetic", &["32-bit pointer arithmetic"], pointer::arithmetic),
    family("pointer-leak", &["leaks addr", "leaking pointer", "partial copy of pointer", "part of pointer", "pointer comparison prohibited",
        "pointer arithmetic prohibited\n"], pointer::leak),
    family("pointer-arithmetic", &["pointer prohibited", "pointer arithmetic", "on pointer prohibited", "tried to subtract pointer"],
        pointer::arithmetic),
    family("pointer-too-far", &["math between", "pointer offset", "pointer be out of bounds"], pointer::far),
    family("misaligned", &["misaligned "], align::explain),
    family("endless-loop", &["infinite loop detected"], looping::endless),
    family("rounds", &["backtracking misuse"], looping::rounds),
    family("too-large", &["is too large. Processed"], looping::too_many),
    family("too-complex", &["jumps is too complex"], looping::too_many_jumps),
    family("unreachable", &["unreachable insn"], control::unreachable),
    family("jump-out-of-range", &["jump out of range"], control::out_of_range),
    family("no-end", &["last insn is not an exit"], control::falls_off),
    family("jump-into-constant", &["middle of ldimm64"], control::into_constant),
    family("call-target", &["call to invalid destination"], control::bad_call),
    family("mixed-tail-calls", &["in programs with bpf-to-bpf calls"], function::mixed),
    family("in-function", &["tail_call is", "LD_ABS is"], function::in_subprog),
    family("packet-load", &["BPF_LD_[ABS|IND]", "BPF_LD_ABS|IND"], maps::load_packet),
    family("division-by-zero", &["div by zero"], arithmetic::divide),
    family("shift", &["invalid shift"], arithmetic::shift),
    family("frame-pointer", &["frame pointer is read only"], arithmetic::frame_pointer),
    family("register", &[" is invalid\n"], arithmetic::no_register),
    family("no-instruction", &["unknown opcode", "uses reserved fields", "invalid BPF_", "invalid bpf_ld_imm64", "unrecognized bpf_ld_imm64",
        "invalid atomic opcode", "invalid may_goto"], control::no_instruction),
    family("kernel-variable", &["ldimm64 insn specifies", "in ldimm64 isn't KIND", "unable to resolve the size"], control::variable),
    family("lent-dynptr", &["const bpf_dynptr", "uninitialized dynptr"], argument::lent),
    family("stack-size", &["Too large", "frames is too deep"], function::stack),
    family("callback", &["callback function", "missing btf func_info"], function::callback),
    family("global-function", &["Arg#", "arg#"], function::prototype),
    family("types", &["func_info", "func info", "line_info"], function::types),
    family("too-many", &["total number of maps", "too many subprograms"], function::too_many),
];

/// Reads below and behind the stack, and reads of what was not written, begin alike.
fn stack_bounds(story: &Story<'_>, draft: &mut Draft) {
    let unwritten = story.message.contains("invalid read from stack R") && !story.message.contains("off=");
    if unwritten {
        draft.code = "stack-unwritten";
        stack::unwritten(story, draft);
    } else {
        stack::outside(story, draft);
    }
}

/// The family that a message belongs to.
fn find(message: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.says.iter().any(|words| message.contains(words)))
}

/// Lets a message's family explain it; without one, the draft keeps what every rejection has.
pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let Some(family) = find(story.message) else { return };
    draft.code = family.code;
    (family.explain)(story, draft);
    function::alone(story, draft);
}
