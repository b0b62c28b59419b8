//! Functions that are verified by themselves: what they take, by their BTF.

use crate::{
    state::{Flags, Kind, Reg, Type},
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
    /// An object of the kernel, that it vouches for.
    Object { to: TypeId, or_null: bool },
    /// What may be anything, so that loads are caught: an object of the kernel, or memory.
    Anything { to: Option<TypeId> },
}

/// What an argument is tagged with (`__arg_ctx` …).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Tags(u8);

impl Tags {
    const CONTEXT: Tags = Tags(1);
    const NOT_NULL: Tags = Tags(2);
    const NULLABLE: Tags = Tags(4);
    const TRUSTED: Tags = Tags(8);
    const UNTRUSTED: Tags = Tags(16);
    const ARENA: Tags = Tags(32);
    const UNKNOWN: Tags = Tags(64);

    fn of(word: &str) -> Tags {
        match word {
            "ctx" => Tags::CONTEXT,
            "nonnull" => Tags::NOT_NULL,
            "nullable" => Tags::NULLABLE,
            "trusted" => Tags::TRUSTED,
            "untrusted" => Tags::UNTRUSTED,
            "arena" => Tags::ARENA,
            _ => Tags::UNKNOWN,
        }
    }

    fn has(self, other: Tags) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there are others besides.
    fn besides(self, other: Tags) -> bool {
        self.0 & !other.0 != 0
    }
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
                Argument::Object { to, or_null } => {
                    let flags = if or_null { Flags::TRUSTED.with(Flags::MAYBE_NULL) } else { Flags::TRUSTED };
                    Reg { id: self.next_id(), ..Reg::object(to, flags) }
                }
                Argument::Anything { to: Some(to) } => Reg { id: self.next_id(), ..Reg::object(to, Flags::UNTRUSTED) },
                Argument::Anything { to: None } => Reg::ANYWHERE,
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

    /// What the kernel's log remarks on what a static function is called with, which does not matter to the verdict either:
    /// nothing is believed of its prototype. One that was remarked on is believed to take nothing.
    pub(super) fn remark_on_static(&mut self, subprog: u32) {
        if !self.log.on() {
            return;
        }
        let known = self.arguments.get(subprog as usize).cloned().flatten();
        let taken = known.map_or_else(|| self.static_arguments(subprog), Ok).and_then(|args| {
            let unlike = (0..).zip(&args).find_map(|(n, arg)| self.unlike(arg, n));
            unlike.map_or(Ok(args), Err)
        });
        let args = taken.unwrap_or_else(|remark| {
            self.log.trace(format_args!("{remark}"));
            Arguments::new()
        });
        self.keep_arguments(subprog, args);
    }

    /// What is remarked on a register that is not what a static function's argument `n` is.
    fn unlike(&self, arg: &Argument, n: u8) -> Option<String> {
        let (regno, reg) = (n + 1, self.reg(n + 1));
        match arg {
            Argument::Number if !reg.is_scalar() => Some(format!("R{regno} is not a scalar\n")),
            Argument::Context if reg.ty.kind != Kind::Ctx => Some(format!("arg#{n} expects pointer to ctx\n")),
            Argument::Context if reg.off != 0 => {
                Some(format!("dereference of modified ctx ptr R{regno} off={} disallowed\n", reg.off))
            }
            _ => None,
        }
    }

    /// What a static function takes, if that is numbers and contexts alone; else what is remarked on it, if anything is.
    fn static_arguments(&self, subprog: u32) -> Result<Arguments, String> {
        let unknown = || Err(String::new());
        let Some(btf) = &self.program.program.btf else { return unknown() };
        let Some(func) = self.program.func_type(subprog) else { return unknown() };
        let Some(Btype::Func { proto, .. }) = btf.ty(func) else { return unknown() };
        let Some(Btype::FuncProto(proto)) = btf.ty(proto) else { return unknown() };
        let number = |ty| matches!(btf.resolved(ty), Btype::Int(_) | Btype::Enum(_) | Btype::Enum64(_));
        if proto.params().len() > 5 || !number(proto.ret) {
            return unknown();
        }
        let read = |(n, ty)| match btf.resolved(ty) {
            _ if tags_of(btf, func, n) != Tags::default() => {
                Err(format!("arg#{n} type tag is not supported in static functions\n"))
            }
            Btype::Ptr(to) if self.is_context(btf, to) => Ok(Argument::Context),
            _ if number(ty) => Ok(Argument::Number),
            _ => Err(String::new()),
        };
        (0..).zip(proto.params().map(|param| param.ty)).map(read).collect()
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
                Argument::Object { to, or_null } => {
                    if !(or_null && reg.is_null()) {
                        self.check_object_argument(regno, to, or_null)?;
                    }
                }
                Argument::Anything { .. } => {}
            }
        }
        Ok(())
    }

    fn arguments_of(&mut self, subprog: u32) -> Check<Arguments> {
        if let Some(known) = self.arguments.get(subprog as usize).cloned().flatten() {
            return Ok(known);
        }
        let args = self.read_arguments(subprog)?;
        self.keep_arguments(subprog, args.clone());
        Ok(args)
    }

    fn keep_arguments(&mut self, subprog: u32, args: Arguments) {
        let at = subprog as usize;
        if self.arguments.len() <= at {
            self.arguments.resize(at + 1, None);
        }
        self.arguments[at] = Some(args);
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
        if tags.has(Tags::UNKNOWN) {
            reject!(self, EOPNOTSUPP, "arg#{n} has unsupported set of tags\n");
        }
        let Btype::Ptr(to) = btf.resolved(ty) else {
            if tags != Tags::default() {
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
        let context = tags.has(Tags::CONTEXT) || self.is_context(btf, to);
        let dynptr = matches!(btf.resolved(to), Btype::Struct(s) if s.name == "bpf_dynptr");
        let clash = if context {
            tags.besides(Tags::CONTEXT)
        } else if dynptr {
            tags != Tags::default()
        } else if tags.has(Tags::TRUSTED) {
            tags.has(Tags::NOT_NULL)
        } else {
            tags.has(Tags::NULLABLE) && !tags.has(Tags::UNTRUSTED)
        };
        if clash {
            reject!(self, EINVAL, "arg#{n} has invalid combination of tags\n");
        }
        if context {
            return Ok(Argument::Context);
        }
        if dynptr {
            refuse!("a dynptr as argument of a global function");
        }
        if tags.has(Tags::TRUSTED) {
            let to = self.kernel_type(btf, n, to)?;
            return Ok(Argument::Object { to, or_null: tags.has(Tags::NULLABLE) });
        }
        if tags.has(Tags::UNTRUSTED) {
            return self.read_untrusted(btf, n, to, tags);
        }
        if tags.has(Tags::ARENA) {
            refuse!("an arena as argument of a global function");
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
        Ok(Argument::Memory { size, or_null: !tags.has(Tags::NOT_NULL) })
    }

    /// What may be anything.
    fn read_untrusted(&mut self, btf: &Btf, n: usize, to: TypeId, tags: Tags) -> Check<Argument> {
        if tags.besides(Tags::UNTRUSTED) {
            reject!(self, EINVAL, "arg#{n} untrusted cannot be combined with any other tags\n");
        }
        let shown = btf.resolved(to);
        match shown {
            Btype::Void | Btype::Int(_) | Btype::Enum(_) | Btype::Enum64(_) => Ok(Argument::Anything { to: None }),
            Btype::Struct(_) | Btype::Union(_) => Ok(Argument::Anything { to: Some(self.kernel_type(btf, n, to)?) }),
            _ => {
                self.kernel_type(btf, n, to)?;
                let (kind, name) = (kind_name(shown.kind()), shown.name());
                reject!(
                    self,
                    EINVAL,
                    "arg#{n} has type {kind} '{name}', but only struct or primitive types are allowed\n"
                )
            }
        }
    }

    /// The kernel's own type of what an argument points to.
    fn kernel_type(&mut self, btf: &Btf, n: usize, to: TypeId) -> Check<TypeId> {
        let kernel = self.kernel_types()?;
        let (kind, name) = (btf.resolved(to).kind(), btf.resolved(to).name());
        let shown = kind_name(kind);
        if name.is_empty() {
            reject!(self, EINVAL, "arg#{n} reference type('{shown} (anon)') candidate matching error: -22\n");
        }
        let mut found = kernel.flavours(name).filter(|id| kernel.ty(*id).is_some_and(|ty| ty.kind() == kind));
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => reject!(self, ENOENT, "arg#{n} reference type('{shown} {name}') has no matches\n"),
            _ => reject!(self, ESRCH, "arg#{n} reference type('{shown} {name}') is ambiguous\n"),
        }
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
    btf.ids().fold(Tags::default(), |tags, id| match btf.ty(id) {
        Some(Btype::DeclTag { name, ty, component: Some(component) }) if ty == func && component == n => {
            name.strip_prefix("arg:").map_or(tags, |word| Tags(tags.0 | Tags::of(word).0))
        }
        _ => tags,
    })
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
