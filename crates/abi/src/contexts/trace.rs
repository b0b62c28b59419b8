//! Contexts of programs that observe: registers, counters, the arguments of trace points.

use crate::{
    Access, CtxLayout, FieldKind, ProgSet, ProgType as P, Scope, Sizes, Version,
    context::{Field, long},
};

/// `struct pt_regs` of x86-64: any aligned part of it may be read.
pub static PT_REGS: CtxLayout = CtxLayout { name: "bpf_user_pt_regs_t", size: 168, fields: REGS };
/// `struct bpf_perf_event_data`.
pub static PERF_EVENT: CtxLayout = CtxLayout { name: "bpf_perf_event_data", size: 184, fields: EVENT };
/// The record of a trace point; its first 8 bytes are the kernel's own.
pub static TRACEPOINT: CtxLayout = CtxLayout { name: "trace_entry", size: 8192, fields: RECORD };
/// `struct bpf_raw_tracepoint_args`: up to 12 arguments.
pub static RAW_TRACEPOINT: CtxLayout = CtxLayout { name: "bpf_raw_tracepoint_args", size: 96, fields: ARGS };
/// The same, whose first argument is a buffer that may be written.
pub static RAW_TRACEPOINT_WRITABLE: CtxLayout =
    CtxLayout { name: "bpf_raw_tracepoint_args", size: 96, fields: WRITABLE_ARGS };

const fn read(ty: P) -> (Scope, Access) {
    (Scope::of(ProgSet::of(&[ty]), Version(0, 0)), Access::Read)
}

const REGS: &[Field] = &[long("regs", 0).times(21).sized(Sizes::Any).by(&[read(P::KPROBE)])];

const EVENT: &[Field] = &[
    long("regs", 0).times(21).by(&[read(P::PERF_EVENT)]),
    long("sample_period", 168).narrow().by(&[read(P::PERF_EVENT)]),
    long("addr", 176).narrow().by(&[read(P::PERF_EVENT)]),
];

const RECORD: &[Field] = &[long("fields", 8).times(1023).sized(Sizes::Any).by(&[read(P::TRACEPOINT)])];

const ARGS: &[Field] = &[long("args", 0).times(12).sized(Sizes::Any).by(&[read(P::RAW_TRACEPOINT)])];

const WRITABLE_ARGS: &[Field] = &[
    long("buffer", 0).gives(FieldKind::TraceBuffer).by(&[read(P::RAW_TRACEPOINT_WRITABLE)]),
    long("args", 8).times(11).sized(Sizes::Any).by(&[read(P::RAW_TRACEPOINT_WRITABLE)]),
];
