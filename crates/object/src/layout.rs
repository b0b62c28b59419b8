//! One program laid out: the functions that it reaches behind it, every reference resolved.

use crate::core::Core;
use crate::externs::KCONFIG;
use crate::insn::{
    BPF_PSEUDO_BTF_ID, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_PSEUDO_KFUNC_CALL, BPF_PSEUDO_MAP_IDX,
    BPF_PSEUDO_MAP_IDX_VALUE, CALL, LD_IMM64, heads,
};
use crate::kconfig;
use crate::symbols::{self, BadSymbol, Symbol};
use alveary_btf::{CoreReloc, FuncInfo, LineInfo};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_isa::{Insn, Reg};
use alveary_sort::Sort;
use alveary_spec::{ArgTag, ExternKind, Function, Kernel, MapSpec, ProgramSpec, RelocKind, Spec};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Slots of all programs together: functions are laid out once for each program that calls them, which a small file
/// could use to fill the memory.
pub(crate) const LARGEST: usize = 1 << 22;
/// The first of the helpers that no kernel has, called in place of weak functions that it does not have.
const ABSENT_KFUNC: i32 = 2_002_000_000;
/// Errors after which nobody reads on.
pub(crate) const MOST_ERRORS: usize = 100;

/// One program while it is laid out.
pub(crate) struct Layout<'a, 'c> {
    spec: &'a Spec,
    kernel: &'a Kernel,
    core: Option<&'c mut Core<'a>>,
    program: Arc<str>,
    /// How many slots it may take.
    room: usize,
    pub(crate) insns: Vec<Insn>,
    /// The kernel modules whose functions and variables are named.
    pub(crate) modules: Vec<Arc<str>>,
    pub(crate) maps: Vec<String>,
    /// Index of each map that is used.
    indices: HashMap<&'a str, i32>,
    /// Where each function begins.
    starts: HashMap<&'a str, u32>,
    subprogs: Vec<(u32, Arc<str>)>,
    pub(crate) funcs: Vec<FuncInfo>,
    pub(crate) lines: Vec<LineInfo>,
    /// What the source promises of arguments, by the slot of the function.
    pub(crate) args: Vec<(u32, ArgTag)>,
    /// Where the function begins that is called when the program throws.
    pub(crate) callback: Option<u32>,
    /// Slots whose instruction fails when it is reached, and why.
    pub(crate) poisoned: Vec<(u32, Diagnostic)>,
    pub(crate) errors: Vec<Diagnostic>,
}

impl<'a, 'c> Layout<'a, 'c> {
    pub(crate) fn new(
        spec: &'a Spec,
        kernel: &'a Kernel,
        core: Option<&'c mut Core<'a>>,
        program: &str,
        room: usize,
    ) -> Self {
        Layout {
            spec,
            kernel,
            core,
            program: program.into(),
            room,
            insns: Vec::new(),
            modules: Vec::new(),
            maps: Vec::new(),
            indices: HashMap::new(),
            starts: HashMap::new(),
            subprogs: Vec::new(),
            funcs: Vec::new(),
            lines: Vec::new(),
            args: Vec::new(),
            callback: None,
            poisoned: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Puts functions behind each other in the order of their first call, callees before the rest of their caller, the
    /// exception callback last, as libbpf does.
    pub(crate) fn run(&mut self, program: &'a ProgramSpec) {
        let Some((name, function)) = self.spec.functions.get_key_value(&program.name) else {
            let message = format!("program `{}` has no function", program.name);
            self.errors.push(Diagnostic::new("function-missing", message, Place::Nowhere));
            return;
        };
        self.reach(name, function, 0);
        let Some(callback) = program.exception_callback.as_deref().filter(|_| self.errors.is_empty()) else { return };
        match self
            .spec
            .functions
            .get_key_value(callback)
            .filter(|(name, f)| f.global && !self.spec.programs.contains_key(*name))
        {
            Some((name, function)) => {
                if !self.starts.contains_key(callback) {
                    self.reach(name, function, 0);
                }
                self.callback = self.starts.get(callback).copied();
            }
            None => self.no_callback(callback),
        }
    }

    /// The functions by their slots, those among them that begin inside of another.
    pub(crate) fn functions(&mut self) -> Vec<(u32, Arc<str>)> {
        let mut all = std::mem::take(&mut self.subprogs);
        all.extend(inner_functions(&self.insns, &all));
        all.order_by_key(|(at, _)| *at);
        all
    }

    /// Appends a function, and what it calls.
    fn reach(&mut self, name: &'a str, function: &'a Function, from: u32) {
        if function.insns.len() > self.room.saturating_sub(self.insns.len()) {
            self.too_large(from);
            return;
        }
        // Functions whose relocations are being applied, and how far.
        let mut open = vec![(self.append(name, function), function, 0)];
        while let Some((start, function, next)) = open.last_mut() {
            if self.errors.len() >= MOST_ERRORS {
                return;
            }
            let start = *start;
            let Some(reloc) = function.relocs.get(*next) else {
                open.pop();
                continue;
            };
            *next += 1;
            let at = start + reloc.insn;
            match &reloc.kind {
                RelocKind::Map(map) => self.map(at, map, None),
                RelocKind::MapValue(map, off) => self.map(at, map, Some(*off)),
                RelocKind::Call(callee) | RelocKind::FuncAddr(callee) => {
                    let is_call = matches!(reloc.kind, RelocKind::Call(_));
                    let target = match self.starts.get(callee.as_str()) {
                        Some(target) => *target,
                        None => {
                            let Some((name, callee)) = self.spec.functions.get_key_value(callee) else {
                                self.missing(at, callee);
                                continue;
                            };
                            if callee.insns.len() > self.room - self.insns.len() {
                                self.too_large(at);
                                return;
                            }
                            let target = self.append(name, callee);
                            open.push((target, callee, 0));
                            target
                        }
                    };
                    self.function(at, target, is_call);
                }
                RelocKind::Extern(name) => self.external(at, name),
                RelocKind::Kfunc(name) => self.kfunc(at, name),
            }
        }
    }

    fn append(&mut self, name: &'a str, function: &'a Function) -> u32 {
        let start = self.insns.len() as u32;
        self.insns.extend(&function.insns);
        self.starts.insert(name, start);
        self.subprogs.push((start, name.into()));
        self.funcs.extend(function.funcs.iter().map(|f| FuncInfo { insn: start + f.insn, ..*f }));
        self.lines.extend(function.lines.iter().map(|l| LineInfo { insn: start + l.insn, ..*l }));
        self.args.extend(function.args.iter().map(|tag| (start, tag.clone())));
        for record in &function.core {
            self.core(start, record);
        }
        start
    }

    /// Asks the kernel's types on behalf of an instruction of the function at `start`.
    fn core(&mut self, start: u32, record: &CoreReloc) {
        // Records come with BTF.
        let Some(core) = self.core.as_deref_mut() else { return };
        let at = start + record.insn;
        let place = Place::Insn { prog: self.program.clone(), index: at };
        let slots = if self.insns.get(at as usize).is_some_and(|i| i.op == LD_IMM64) { 2 } else { 1 };
        match core.relocate(record, &mut self.insns, at, &place) {
            Ok(None) => {}
            Ok(Some(why)) => self.poisoned.extend((at..at + slots).map(|slot| (slot, why.clone()))),
            Err(why) => self.errors.push(why),
        }
    }

    fn map(&mut self, at: u32, map: &'a str, offset: Option<u32>) {
        let Some(spec) = self.spec.maps.get(map) else {
            let problem = format!("a reference to map `{map}`, which is not there");
            self.errors.push(Diagnostic::new("map-missing", problem, self.place(at)));
            return;
        };
        let index = match self.indices.get(map) {
            Some(index) => *index,
            None => {
                let index = self.maps.len() as i32;
                self.maps.push(map.to_owned());
                self.indices.insert(map, index);
                self.check_addresses(at, spec);
                index
            }
        };
        let (kind, second) = match offset {
            None => (BPF_PSEUDO_MAP_IDX, 0),
            Some(offset) => (BPF_PSEUDO_MAP_IDX_VALUE, offset as i32),
        };
        self.patch(at, kind, index, Some(second));
    }

    /// Refuses variables that should hold an address: which one is known only once everything is loaded.
    fn check_addresses(&mut self, at: u32, spec: &MapSpec) {
        let Some((offset, target)) = spec.addresses.first() else { return };
        let message = format!("`{}` should hold the address of `{target}` in its data", spec.name);
        self.errors.push(
            Diagnostic::new("data-address", message, self.place(at))
                .label(Place::Section { section: spec.section.clone(), at: (*offset).into() }, "here")
                .note(format!("it has {} addresses", spec.addresses.len()))
                .help("addresses in initialised data are not supported in this version: compute them in the program"),
        );
    }

    fn function(&mut self, at: u32, target: u32, is_call: bool) {
        let distance = i64::from(target) - i64::from(at) - 1;
        let (kind, second) = if is_call { (BPF_PSEUDO_CALL, None) } else { (BPF_PSEUDO_FUNC, Some(0)) };
        self.patch(at, kind, distance as i32, second);
    }

    fn patch(&mut self, at: u32, src: u8, imm: i32, second: Option<i32>) {
        let at = at as usize;
        if let Some(insn) = self.insns.get_mut(at) {
            insn.src = Reg(src);
            insn.imm = imm;
        }
        if let (Some(second), Some(insn)) = (second, self.insns.get_mut(at + 1)) {
            insn.imm = second;
        }
    }

    /// A variable that the object does not define, or the address of such a function.
    fn external(&mut self, at: u32, name: &str) {
        let (Some(one), Some(local)) = (self.spec.externs.get(name), self.spec.btf.as_deref()) else {
            let message = format!("the program needs `{name}`, which is no map, data or function of the object");
            let problem = Diagnostic::new("extern", message, self.place(at));
            self.errors.push(problem.help("declare what is the kernel's as `__kconfig` or `__ksym`"));
            return;
        };
        if let ExternKind::Config { offset } = one.kind {
            if let Err(bad) = kconfig::value(name, one, local, self.kernel, self.spec.endian) {
                self.errors.push(Diagnostic::new("kconfig", bad.message, self.place(at)).help(bad.help));
            }
            return self.map(at, KCONFIG, Some(offset));
        }
        match symbols::find(name, one, local, self.kernel) {
            Ok(Symbol::Typed(found)) => {
                let module = self.module(found.module);
                self.patch(at, BPF_PSEUDO_BTF_ID, found.id.0 as i32, Some(module as i32));
            }
            Ok(Symbol::Address(address)) => self.patch(at, 0, address as i32, Some((address >> 32) as i32)),
            Ok(Symbol::Absent) => self.patch(at, 0, 0, Some(0)),
            Err(bad) => self.bad_symbol(at, bad),
        }
    }

    /// A call of a function that the object does not define.
    fn kfunc(&mut self, at: u32, name: &str) {
        let one = self.spec.externs.get(name).filter(|e| e.kind == ExternKind::Function);
        let (Some(one), Some(local)) = (one, self.spec.btf.as_deref()) else { return self.missing(at, name) };
        match symbols::find(name, one, local, self.kernel) {
            Ok(Symbol::Typed(found)) => {
                let module = self.module(found.module);
                self.patch(at, BPF_PSEUDO_KFUNC_CALL, found.id.0 as i32, None);
                // Each comes from an instruction: there are fewer than slots, and the kernel takes 256.
                if let Some(insn) = self.insns.get_mut(at as usize) {
                    insn.off = i16::try_from(module).unwrap_or(i16::MAX);
                }
            }
            Ok(Symbol::Address(_) | Symbol::Absent) => {
                let number = self.spec.externs.keys().position(|n| n == name).unwrap_or(0) as i32;
                if let Some(insn) = self.insns.get_mut(at as usize) {
                    *insn = Insn { op: CALL, dst: Reg(0), src: Reg(0), off: 0, imm: ABSENT_KFUNC + number };
                }
                let message = format!("the kernel has no function `{name}`, which the program calls");
                let why = Diagnostic::new("kfunc", message, self.place(at))
                    .note("the function is declared weak: the program loads, and fails where it calls it")
                    .kernel(format!("invalid func unknown#{}", ABSENT_KFUNC + number))
                    .help("ask first: `if (bpf_ksym_exists(…))`");
                self.poisoned.push((at, why));
            }
            Err(bad) => self.bad_symbol(at, bad),
        }
    }

    /// The number of a module, 0 for the kernel itself.
    fn module(&mut self, name: Option<Arc<str>>) -> usize {
        let Some(name) = name else { return 0 };
        let known = self.modules.iter().position(|known| *known == name);
        1 + known.unwrap_or_else(|| {
            self.modules.push(name);
            self.modules.len() - 1
        })
    }

    fn bad_symbol(&mut self, at: u32, bad: BadSymbol) {
        let problem = Diagnostic::new("ksym", bad.message, self.place(at));
        self.errors.push(bad.help.into_iter().fold(problem, Diagnostic::help));
    }

    fn missing(&mut self, at: u32, name: &str) {
        let message = format!("a call of `{name}`, which the object does not define");
        let problem = Diagnostic::new("function-missing", message, self.place(at));
        let near = did_you_mean(name, self.spec.functions.keys().map(String::as_str));
        self.errors.push(match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("define it, or declare it as a helper or `__ksym`"),
        });
    }

    fn no_callback(&mut self, name: &str) {
        let message = format!("program `{}` names `{name}` as its exception callback", self.program);
        let problem = Diagnostic::new("exception-callback", message, self.place(0));
        let problem = problem.expected("a global function of the object that is no program").found(
            match self.spec.functions.get(name) {
                None => "a name that the object does not define",
                Some(function) if !function.global => "a static function",
                Some(_) => "a program",
            },
        );
        let near = did_you_mean(name, self.spec.functions.keys().map(String::as_str).filter(|n| *n != name));
        self.errors.push(near.into_iter().fold(problem, |p, near| p.help(format!("did you mean `{near}`?"))));
    }

    fn too_large(&mut self, at: u32) {
        let problem = Diagnostic::new("program-size", "the programs are too large together", self.place(at));
        self.errors.push(problem.expected(format!("at most {LARGEST} instructions")));
    }

    fn place(&self, index: u32) -> Place {
        Place::Insn { prog: self.program.clone(), index }
    }
}

/// Functions that begin inside of another (hand-written code): nobody names them, calls show them.
fn inner_functions(insns: &[Insn], known: &[(u32, Arc<str>)]) -> Vec<(u32, Arc<str>)> {
    let mut found = BTreeMap::new();
    for (at, insn) in heads(insns) {
        if (insn.op, insn.src.0) == (CALL, BPF_PSEUDO_CALL) || (insn.op, insn.src.0) == (LD_IMM64, BPF_PSEUDO_FUNC) {
            let target = i64::from(at) + 1 + i64::from(insn.imm);
            let Some(target) = u32::try_from(target).ok().filter(|t| (*t as usize) < insns.len()) else { continue };
            let next = known.partition_point(|(start, _)| *start <= target);
            if let Some((start, name)) = next.checked_sub(1).and_then(|i| known.get(i))
                && *start != target
            {
                found.insert(target, format!("{name}+{}", target - start).into());
            }
        }
    }
    found.into_iter().collect()
}
