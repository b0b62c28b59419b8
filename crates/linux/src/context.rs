//! Context arguments of global functions (`__arg_ctx`) for kernels before 6.8, which do not read the tag: they know the
//! context by the name of the struct that an argument points to. The functions get prototypes of their own that say it.

use alveary_abi::{ProgType, Tables};
use alveary_btf::{Btf, Builder, Linkage, New, Param, Type, TypeId};
use alveary_spec::{Program, Promise};

/// A program's types and the types of its functions, with every context under its name.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) types: Btf,
    pub(crate) funcs: Vec<alveary_btf::FuncInfo>,
}

/// The types with contexts by name; `None` if that changes nothing.
pub(crate) fn named(program: &Program) -> Option<Named> {
    let btf = program.btf.as_deref()?;
    let tables = Tables::linux();
    let context = tables.prog_types.iter().find(|row| row.ty == program.ty)?.ctx?.name;
    let mut builder = Builder::from(btf);
    let mut funcs = program.funcs.clone();
    let mut pointer = None;
    for func in &mut funcs {
        let Some(Type::Func { name, proto, linkage: Linkage::Global }) = btf.ty(func.ty) else { continue };
        let Some(Type::FuncProto(proto)) = btf.ty(proto) else { continue };
        let promised = |n: u32| {
            let tags = program.args.iter().filter(|(start, tag)| *start == func.insn && tag.arg == n);
            tags.into_iter().any(|(_, tag)| tag.promise == Promise::Ctx)
        };
        let mut params: Vec<Param<'_>> = proto.params().collect();
        let mut changed = false;
        for (n, param) in (0..).zip(&mut params) {
            if promised(n) && stands_in(btf, param.ty, program.ty) {
                let struct_of = |builder: &mut Builder| {
                    let ty = builder.add(&New::Struct { name: context, size: 0, members: &[] });
                    builder.add(&New::Ptr(ty))
                };
                param.ty = *pointer.get_or_insert_with(|| struct_of(&mut builder));
                changed = true;
            }
        }
        if changed {
            let proto = builder.add(&New::FuncProto { ret: proto.ret, params: &params });
            func.ty = builder.add(&New::Func { name, proto, linkage: Linkage::Global });
        }
    }
    pointer?;
    // What was whole before is whole with more types behind it.
    Some(Named { types: builder.finish().ok()?, funcs })
}

/// Whether a type is what sources have for a context that they do not name: `void *`, the registers of a probe, the
/// words of a tracepoint.
fn stands_in(btf: &Btf, ty: TypeId, program: ProgType) -> bool {
    let Type::Ptr(to) = btf.resolved(ty) else { return false };
    match btf.resolved(to) {
        Type::Void => true,
        Type::Struct(registers) => {
            let probe = [ProgType::KPROBE, ProgType::PERF_EVENT].contains(&program);
            probe && ["pt_regs", "user_pt_regs", "user_regs_struct"].contains(&registers.name)
        }
        Type::Int(word) => {
            let raw = [ProgType::RAW_TRACEPOINT, ProgType::RAW_TRACEPOINT_WRITABLE].contains(&program);
            raw && word.size == 8
        }
        _ => false,
    }
}
