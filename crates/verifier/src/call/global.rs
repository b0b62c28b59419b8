//! Functions that are verified by themselves: what they take, by their BTF.

use crate::{
    state::{Kind, Reg, Type},
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::ProgType as P;
use alveary_btf::{Btf, Kind as BtfKind, Type as Btype, TypeId};

/// What a function takes in r1, r2 …
pub(crate) type Arguments = Vec<Argument>;

/// One argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// A number.
    Number,
    /// The program's context.
    Context,
    /// Memory of a size.
    Memory { size: u32, or_null: bool },
}

#[derive(Clone, Copy, Default)]
struct Tags {
    context: bool,
    not_null: bool,
    nullable: bool,
    other: bool,
}

impl Verifier<'_> {
    /// The registers at the start of a global function.
    pub(crate) fn enter_global(&mut self, subprog: u32) -> Check {
        let name = self.program.subprogs[subprog as usize].name.clone();
        self.log.trace(format_args!("Validating {name}() func#{subprog}...\n"));
        let args = self.arguments_of(subprog)?;
        for (n, arg) in args.into_iter().enumerate() {
            let reg = match arg {
                Argument::Number => Reg::UNKNOWN,
                Argument::Context => Reg::pointer(Type::of(Kind::Ctx)),
                Argument::Memory { size, or_null } => {
                    let ty = Type::of(Kind::Mem);
                    let ty = if or_null { ty.or_null() } else { ty };
                    Reg { extra: size, id: self.next_id(), ..Reg::pointer(ty) }
                }
            };
            *self.reg_mut(n as u8 + 1) = reg;
        }
        Ok(())
    }

    /// What the kernel's log remarks on the main program's prototype, which does not matter to the verdict.
    pub(crate) fn remark_on_main(&mut self) {
        if self.log.on() && self.program.subprogs[0].global {
            let _ = self.read_arguments(0);
        }
    }

    /// Whether the registers are what a global function takes.
    pub(super) fn match_arguments(&mut self, subprog: u32) -> Check {
        let args = self.arguments_of(subprog)?;
        for (n, arg) in args.into_iter().enumerate() {
            let regno = n as u8 + 1;
            let reg = *self.reg(regno);
            match arg {
                Argument::Number => {
                    if !reg.is_scalar() {
                        reject!(self, EINVAL, "R{regno} is not a scalar\n");
                    }
                }
                Argument::Context => {
                    self.check_argument_offset(regno, false)?;
                    if reg.ty.kind != Kind::Ctx {
                        reject!(self, EINVAL, "arg#{n} expects pointer to ctx\n");
                    }
                }
                Argument::Memory { size, or_null } => {
                    self.check_argument_offset(regno, false)?;
                    if let Err(stop) = self.check_argument_memory(regno, size) {
                        return Err(match stop {
                            crate::stop::Stop::Rejected(_) => crate::stop::Stop::Rejected(alveary_abi::Errno::EINVAL),
                            refused => refused,
                        });
                    }
                    if !or_null && reg.ty.maybe_null() {
                        reject!(self, EINVAL, "arg#{n} is expected to be non-NULL\n");
                    }
                }
            }
        }
        Ok(())
    }

    fn arguments_of(&mut self, subprog: u32) -> Check<Arguments> {
        let at = subprog as usize;
        if let Some(known) = self.arguments.get(at).cloned().flatten() {
            return Ok(known);
        }
        let args = self.read_arguments(subprog)?;
        if self.arguments.len() <= at {
            self.arguments.resize(at + 1, None);
        }
        self.arguments[at] = Some(args.clone());
        Ok(args)
    }

    fn read_arguments(&mut self, subprog: u32) -> Check<Arguments> {
        let Some(btf) = self.program.program.btf.clone() else { refuse!("a global function without BTF") };
        let func = self.program.func_type(subprog);
        let Some((func, Btype::Func { name, proto, .. })) = func.and_then(|id| Some((id, btf.ty(id)?))) else {
            refuse!("a global function without a prototype");
        };
        let Some(Btype::FuncProto(proto)) = btf.ty(proto) else { refuse!("a global function without a prototype") };
        let params: Vec<_> = proto.params().collect();
        if params.len() > 5 {
            reject!(self, EINVAL, "Global function {name}() with {} > 5 args. Buggy compiler.\n", params.len());
        }
        if !matches!(btf.resolved(proto.ret), Btype::Int(_) | Btype::Enum(_) | Btype::Enum64(_)) {
            reject!(self, EINVAL, "Global function {name}() doesn't return scalar. Only those are supported.\n");
        }
        let mut args = Vec::new();
        for (n, param) in params.iter().enumerate() {
            let tags = tags_of(&btf, func, n as u32);
            args.push(self.read_argument(&btf, name, n, param.ty, tags)?);
        }
        Ok(args)
    }

    fn read_argument(&mut self, btf: &Btf, name: &str, n: usize, ty: TypeId, tags: Tags) -> Check<Argument> {
        if tags.other {
            refuse!("an argument of a global function that is a pointer to a kernel object, a dynptr or an arena");
        }
        let Btype::Ptr(to) = btf.resolved(ty) else {
            if tags.context || tags.not_null || tags.nullable {
                reject!(self, EINVAL, "arg#{n} has pointer tag, but is not a pointer type\n");
            }
            return match btf.resolved(ty) {
                Btype::Int(_) | Btype::Enum(_) | Btype::Enum64(_) => Ok(Argument::Number),
                other => reject!(
                    self,
                    EINVAL,
                    "Arg#{n} type {} in {name}() is not supported yet.\n",
                    kind_name(other.kind())
                ),
            };
        };
        if tags.context || self.is_context(btf, to) {
            if tags.not_null || tags.nullable {
                reject!(self, EINVAL, "arg#{n} has invalid combination of tags\n");
            }
            return Ok(Argument::Context);
        }
        if matches!(btf.resolved(to), Btype::Struct(s) if s.name == "bpf_dynptr") {
            refuse!("a dynptr as argument of a global function");
        }
        if tags.nullable {
            reject!(self, EINVAL, "arg#{n} has invalid combination of tags\n");
        }
        let Some(size) = btf.size_of(to) else {
            let shown = btf.resolved(to);
            reject!(
                self,
                EINVAL,
                "arg#{n} reference type('{} {}') size cannot be determined: -22\n",
                kind_name(shown.kind()),
                shown.name()
            );
        };
        Ok(Argument::Memory { size, or_null: !tags.not_null })
    }

    /// Whether a type is that of the program's context, by name.
    fn is_context(&self, btf: &Btf, to: TypeId) -> bool {
        let ty = self.program.program.ty;
        let mut id = to;
        while let Some(Btype::Typedef { name, ty: behind }) = btf.ty(id) {
            if name == "bpf_user_pt_regs_t" && matches!(ty, P::KPROBE) {
                return true;
            }
            id = behind;
        }
        let Btype::Struct(shown) = btf.resolved(to) else { return false };
        let context = self.profile.prog_type(ty).and_then(|row| row.ctx).map(|ctx| ctx.name);
        context == Some(shown.name) || ty == P::KPROBE && shown.name == "pt_regs"
    }
}

fn tags_of(btf: &Btf, func: TypeId, n: u32) -> Tags {
    let mut tags = Tags::default();
    for id in btf.ids() {
        let Some(Btype::DeclTag { name, ty, component: Some(component) }) = btf.ty(id) else { continue };
        let Some(tag) = name.strip_prefix("arg:").filter(|_| ty == func && component == n) else { continue };
        match tag {
            "ctx" => tags.context = true,
            "nonnull" => tags.not_null = true,
            "nullable" => tags.nullable = true,
            _ => tags.other = true,
        }
    }
    tags
}

fn kind_name(kind: BtfKind) -> &'static str {
    match kind {
        BtfKind::Void => "UNKNOWN",
        BtfKind::Int => "INT",
        BtfKind::Ptr => "PTR",
        BtfKind::Array => "ARRAY",
        BtfKind::Struct => "STRUCT",
        BtfKind::Union => "UNION",
        BtfKind::Enum => "ENUM",
        BtfKind::Fwd => "FWD",
        BtfKind::Typedef => "TYPEDEF",
        BtfKind::Volatile => "VOLATILE",
        BtfKind::Const => "CONST",
        BtfKind::Restrict => "RESTRICT",
        BtfKind::Func => "FUNC",
        BtfKind::FuncProto => "FUNC_PROTO",
        BtfKind::Var => "VAR",
        BtfKind::DataSec => "DATASEC",
        BtfKind::Float => "FLOAT",
        BtfKind::DeclTag => "DECL_TAG",
        BtfKind::TypeTag => "TYPE_TAG",
        BtfKind::Enum64 => "ENUM64",
    }
}
