//! Programs made ready for the kernel that is asked about, and judged, several at a time.

use super::{options, spent::Spent};
use crate::{inspect, names};
use alveary_abi::{Profile, ProgType};
use alveary_btf::TypeId;
use alveary_diag::{Diagnostic, Place, SourceLine, Sources};
use alveary_isa::disasm::{Names, Notation, Style};
use alveary_object::{Options, resolve};
use alveary_spec::{Kernel, Program, Spec};
use alveary_verifier::{
    Caps, Env, Facts, LogLevel, Stats, Verdict, check, check_with_facts, check_with_work, explain,
    facts::{Fact, Words},
};
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// What helps a program that takes more memory than there is.
const SMALLER: &str = "make it smaller, or make global functions of its parts: each of them is followed by itself";

/// A program's verdict.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) file: String,
    pub(super) section: String,
    pub(super) name: String,
    pub(super) ty: &'static str,
    /// The kernel whose rules were applied (`6.18.44`).
    pub(super) kernel: String,
    /// The newest kernel whose rules are known, if this one is newer.
    pub(super) rules: Option<String>,
    pub(super) verdict: Verdict,
    /// It asks for what the kernel does not have, so that it would not be loaded; the verdict says what.
    pub(super) unresolved: bool,
    /// It is not judged since it would have taken more memory.
    pub(super) exceeded: bool,
    /// What would help if it is not judged.
    pub(super) help: Vec<String>,
    pub(super) log: String,
    pub(super) stats: Stats,
    pub(super) time: Duration,
    /// Where the message points.
    pub(super) source: Option<SourceLine>,
    /// The instruction there, in the kernel's notation.
    pub(super) instruction: Option<String>,
    /// Why it is rejected.
    pub(super) explanation: Option<Explanation>,
    /// What is known of each instruction, if someone asks.
    pub(super) facts: Option<Learnt>,
    /// Where the work went, if someone asks.
    pub(super) spent: Option<Spent>,
}

/// What is known of a program's instructions.
#[derive(Debug)]
pub(super) struct Learnt {
    program: Arc<Program>,
    facts: Facts,
}

/// What is known of one of them.
pub(super) struct Known<'a> {
    pub(super) slot: u32,
    pub(super) text: String,
    pub(super) fact: &'a Fact,
    /// The same in words.
    pub(super) words: String,
}

impl Learnt {
    /// Of each instruction, in the program's order.
    pub(super) fn each(&self) -> impl Iterator<Item = Known<'_>> {
        let mut slot = 0;
        std::iter::from_fn(move || {
            let inst = alveary_isa::decode(&self.program.insns, slot).ok()?;
            let at = slot as u32;
            slot += inst.slots();
            let fact = self.facts.at(at);
            let words = Words { fact, maps: &self.program.maps }.to_string();
            Some(Known { slot: at, text: inst.to_string(), fact, words })
        })
    }
}

/// A rejection in plain words.
#[derive(Debug)]
pub(super) struct Explanation {
    pub(super) message: Diagnostic,
    /// The instructions at its labels.
    pub(super) code: Vec<Option<String>>,
}

/// What `--attach` says.
#[derive(Clone, Copy, Debug)]
pub(super) enum To<'a> {
    /// This attach type.
    Type(&'a str),
    /// A place, which stands in the programs.
    Place,
}

/// What is to be judged, and against what.
pub(super) struct Task<'a> {
    pub(super) spec: &'a Spec,
    pub(super) kernel: &'a Kernel,
    pub(super) ty: Option<ProgType>,
    pub(super) attach: Option<To<'a>>,
    pub(super) caps: Caps,
    pub(super) flags: u32,
    pub(super) log: LogLevel,
    /// What is learnt of instructions is kept.
    pub(super) facts: bool,
    /// Where the work went is counted.
    pub(super) work: bool,
    /// Rejections are explained.
    pub(super) explain: bool,
    pub(super) path: &'a Path,
}

impl Task<'_> {
    /// How many slots a program has, with the functions that it gets to.
    pub(super) fn slots(&self, name: &str) -> usize {
        inspect::reached(self.spec, name)
            .iter()
            .filter_map(|name| Some(self.spec.functions.get(*name)?.insns.len()))
            .sum()
    }

    /// Judges a program that may take nearly all the memory that there is: what others have freed is no longer held.
    pub(super) fn alone(&self, name: &str, memory: usize) -> Result<Judged, Diagnostic> {
        alveary_linux::give_back();
        self.one(name, memory)
    }

    /// Judges a program within so many bytes of memory.
    pub(super) fn one(&self, name: &str, memory: usize) -> Result<Judged, Diagnostic> {
        let wanted = Options { programs: Some(vec![name.to_owned()]), ty: self.ty };
        let section = self.spec.programs.get(name).map_or("", |program| &program.section).to_owned();
        let mut judged = Judged {
            file: self.path.display().to_string(),
            section,
            name: name.to_owned(),
            ty: "",
            kernel: self.kernel.profile.release(),
            rules: self.kernel.profile.version.newest_known(),
            verdict: Verdict::Refused { reason: String::new(), insn: 0 },
            unresolved: false,
            exceeded: false,
            help: Vec::new(),
            log: String::new(),
            stats: Stats::default(),
            time: Duration::ZERO,
            source: None,
            instruction: None,
            explanation: None,
            facts: None,
            spent: None,
        };
        let mut resolved = match resolve(self.spec, self.kernel, &wanted) {
            Ok(resolved) => resolved,
            Err(errors) => {
                let reason = errors.first().map_or_else(|| "it does not resolve".to_owned(), ToString::to_string);
                judged.help = errors.first().map(|why| why.help.clone()).unwrap_or_default();
                judged.verdict = Verdict::Refused { reason, insn: 0 };
                judged.unresolved = true;
                return Ok(judged);
            }
        };
        let Some(at) = resolved.programs.iter().position(|program| &*program.name == name) else {
            return Ok(judged);
        };
        let given = &resolved.programs.swap_remove(at);
        let program = &self.as_loaded(given)?;
        let Some(row) = self.kernel.profile.prog_type(program.ty) else {
            let reason = match Profile::linux_6_18().prog_type(program.ty) {
                Some(row) => format!("{} programs came with Linux {}", row.name, row.since),
                None => "the kernel has no such program type".to_owned(),
            };
            judged.verdict = Verdict::Refused { reason, insn: 0 };
            judged.unresolved = true;
            return Ok(judged);
        };
        judged.ty = row.name;
        let env = Env { caps: self.caps, log: self.log, memory, ..Env::new(self.kernel, &resolved.maps) };
        let start = Instant::now();
        let report = check(program, &env);
        judged.time = start.elapsed();
        let at = match &report.verdict {
            Verdict::Accept => None,
            Verdict::Reject(why) => why.insn,
            Verdict::Refused { insn, .. } => Some(*insn),
        };
        if let Some(at) = at {
            judged.source = given.source(&Place::Insn { prog: program.name.clone(), index: at });
            judged.instruction = instruction(program, at, self.kernel);
        }
        if self.facts && report.verdict == Verdict::Accept {
            let facts = check_with_facts(program, &env).1;
            judged.facts = facts.map(|facts| Learnt { program: program.clone(), facts });
        }
        if self.work {
            judged.spent = Some(Spent::of(given, &check_with_work(program, &env).1));
        }
        if self.explain {
            judged.explanation =
                explain(program, &env, &report).map(|message| explanation(program, message, &self.kernel.profile));
        }
        if report.exceeded {
            judged.exceeded = true;
            judged.help.push(SMALLER.to_owned());
        }
        judged.verdict = report.verdict;
        judged.log = report.log;
        judged.stats = report.stats;
        Ok(judged)
    }

    /// The program with what the options say of it. Types are loaded by those who have `CAP_BPF`; others go without.
    fn as_loaded(&self, program: &Arc<Program>) -> Result<Arc<Program>, Diagnostic> {
        if self.flags == 0 && self.attach.is_none() && self.caps.bpf {
            return Ok(program.clone());
        }
        let mut loaded = Program::clone(program);
        loaded.flags |= self.flags;
        match self.attach {
            Some(To::Type(name)) => {
                loaded.expected = Some(options::attach_type(&self.kernel.profile, program.ty, name)?);
            }
            Some(To::Place) => {
                program.target.clone().transpose()?;
            }
            None => {}
        }
        if !self.caps.bpf {
            (loaded.btf, loaded.funcs, loaded.lines) = (None, Vec::new(), Vec::new());
        }
        Ok(Arc::new(loaded))
    }
}

fn explanation(program: &Arc<Program>, message: Diagnostic, profile: &Profile) -> Explanation {
    let known = names::Known::of_program(program, profile);
    let message = message.with_lines(&**program);
    let at = |place: &Place| match place {
        Place::Insn { index, .. } => names::text(&known, &program.insns, *index as usize),
        _ => None,
    };
    let code = message.labels.iter().map(|label| at(&label.at)).collect();
    Explanation { message, code }
}

fn instruction(program: &Arc<Program>, at: u32, kernel: &Kernel) -> Option<String> {
    let inst = alveary_isa::decode(&program.insns, at as usize).ok()?;
    let text = Notation { style: Style::Plain, names: &Kfuncs(kernel) }.text(at as usize, inst).to_string();
    Some(format!("{at}: {text}"))
}

/// Functions of the kernel by their names, where its types are known.
struct Kfuncs<'a>(&'a Kernel);

impl Names for Kfuncs<'_> {
    fn kfunc(&self, btf_id: i32, off: i16) -> Option<&str> {
        let btf = self.0.btf.as_deref().filter(|_| off == 0)?;
        Some(btf.ty(TypeId(btf_id.try_into().ok()?))?.name())
    }
}

/// How many CPUs this machine may have: the kernel knows what `bpf_get_smp_processor_id` may give.
pub(super) fn possible_cpus() -> u32 {
    let list = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = list.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<u32>().ok());
    last.map_or(1, |last| last.saturating_add(1))
}
