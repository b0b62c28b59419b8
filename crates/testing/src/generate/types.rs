//! The types of generated functions: what makes some of them callbacks and others functions that are verified alone.

use super::state::Holds;
use alveary_abi::ProgType;
use alveary_btf::{Btf, Builder, FuncInfo, Linkage, Member, New, Param, TypeId};
use alveary_isa::Endian;
use std::sync::{Arc, OnceLock};

/// What a function is to BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// The program.
    Main,
    /// A function that is verified where it is called.
    Static,
    /// One of [`GLOBAL`], verified by itself.
    Global(usize),
}

/// A parameter of a function that is verified by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Ctx,
    Number,
    /// [`MEMORY`] bytes, or null.
    Memory,
}

/// Size of the struct that parameters point to.
pub(super) const MEMORY: i32 = 16;

use Parameter::{Ctx, Memory, Number};

/// Functions that are verified by themselves.
pub(super) const GLOBAL: [&[Parameter]; 4] =
    [&[Ctx, Number], &[Number, Number], &[Memory, Number], &[Ctx, Memory, Number]];

impl Parameter {
    /// What the function knows of it.
    pub(super) fn holds(self, number: [u64; 8]) -> Holds {
        match self {
            Ctx => Holds::Ctx,
            Number => Holds::Number(number),
            Memory => Holds::OrNull { size: MEMORY },
        }
    }
}

/// The types of all generated programs.
pub(super) struct Types {
    pub(super) btf: Arc<Btf>,
    fixed: TypeId,
    /// Of programs that see `xdp_md`, and those that see `__sk_buff`: the program, the functions of [`GLOBAL`].
    of_context: [(TypeId, [TypeId; GLOBAL.len()]); 2],
}

pub(super) fn types() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(make)
}

impl Types {
    /// A function of a program that begins at a slot.
    pub(super) fn func(&self, ty: ProgType, insn: u32, signature: Signature) -> FuncInfo {
        let (main, global) = &self.of_context[usize::from(ty != ProgType::XDP)];
        let ty = match signature {
            Signature::Main => *main,
            Signature::Static => self.fixed,
            Signature::Global(n) => global[n],
        };
        FuncInfo { insn, ty }
    }
}

fn make() -> Types {
    let mut types = Builder::new(Endian::HOST);
    let int = types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let long = types.add(&New::Int { name: "long", size: 8, bits: 64, signed: true, char: false, bool: false });
    let member = |name, bit_offset| Member { name, ty: long, bit_offset, bits: None };
    let memory =
        types.add(&New::Struct { name: "memory", size: MEMORY as u32, members: &[member("a", 0), member("b", 64)] });
    let memory = types.add(&New::Ptr(memory));
    let nothing = types.add(&New::FuncProto { ret: int, params: &[] });
    let fixed = types.add(&New::Func { name: "fixed", proto: nothing, linkage: Linkage::Static });
    let of_context = [("xdp", "xdp_md"), ("skb", "__sk_buff")].map(|(prefix, context)| {
        let context = types.add(&New::Struct { name: context, size: 4, members: &[] });
        let context = types.add(&New::Ptr(context));
        let mut function = |name: &str, parameters: &[Parameter]| {
            let types_of = parameters.iter().map(|parameter| match parameter {
                Ctx => context,
                Number => long,
                Memory => memory,
            });
            let names = ["a", "b", "c"];
            let params: Vec<Param<'_>> = types_of.zip(names).map(|(ty, name)| Param { name, ty }).collect();
            let proto = types.add(&New::FuncProto { ret: int, params: &params });
            types.add(&New::Func { name, proto, linkage: Linkage::Global })
        };
        let main = function(&format!("{prefix}_main"), &[Ctx]);
        let mut n = 0;
        let global = GLOBAL.map(|parameters| {
            n += 1;
            function(&format!("{prefix}_global_{n}"), parameters)
        });
        (main, global)
    });
    let btf = types.finish().expect("the types are whole");
    Types { btf: Arc::new(btf), fixed, of_context }
}
