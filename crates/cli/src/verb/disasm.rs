//! `alveary disasm`: the instructions of an object, or of a classic filter, as text.

mod answers;
mod classic;
mod listing;
mod lowered;
mod native;
mod symbols;

use crate::{
    failure::Failure,
    inspect,
    kernel::KernelOptions,
    output,
    several::{self, Rejected},
};
use alveary::runtime::{Pass, Passes};
use alveary::{Loaded, User};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Endian;
use alveary_object::{Options, apply_core};
use alveary_spec::Spec;
use answers::Answers;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueHint};
use listing::{Listing, Look};
use lowered::Lowered;
use native::{Stage, native};
use std::path::{Path, PathBuf};

/// Show the instructions of an object
///
/// One instruction a line, in the notation of the kernel's log and of llvm-objdump. Every function is shown once:
/// programs in the file's order, each followed by the functions that it calls. Behind a jump stands the instruction
/// that it goes to. The instructions hold what CO-RE relocations make of them on a kernel, this machine's unless --btf,
/// --kconfig or --kernel-version say another; behind those that load a value of its configuration stands the value, behind
/// those that ask for what it does not have, why they fail. With --unresolved they are those of the file.
///
/// `asm` reads the listing, unless it shows bytes (--raw). BTF, maps and data are not in it: their names are.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary disasm filter.bpf.o --prog filter --source
  alveary disasm filter.bpf.o --prog filter --jit
  tcpdump -ddd 'udp port 53' > dns.txt; alveary disasm --cbpf dns.txt --ebpf")]
pub(crate) struct Disasm {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath, required_unless_present = "cbpf")]
    object: Option<PathBuf>,

    /// Show only this program and the functions that it calls
    #[arg(long, value_name = "NAME", conflicts_with = "cbpf")]
    prog: Option<String>,

    /// Put source lines in between
    ///
    /// They come from the object's BTF, which clang writes with -g.
    #[arg(long, conflicts_with = "cbpf")]
    source: bool,

    /// Show the bytes of each instruction
    #[arg(long)]
    raw: bool,

    #[command(flatten)]
    kernel: KernelOptions,

    /// Show the instructions that the file holds, whatever a kernel makes of them
    #[arg(long, conflicts_with_all = ["btf", "kconfig", "kernel_version", "lowered", "clif", "jit", "cbpf"])]
    unresolved: bool,

    /// Show what the user-space kernel runs
    ///
    /// Programs are verified, and their code is rewritten by what was proven: fields of contexts are loaded from where they
    /// stand, lookups in arrays become comparisons and addresses, what is never reached goes. Behind an instruction stands
    /// what is known of it; one that was rewritten stands above what it became. Registers r11 (scratch) and r12 (the running
    /// CPU) are the engine's.
    #[arg(long, group = "compiled", conflicts_with_all = ["cbpf", "source", "raw"])]
    lowered: bool,

    /// Show the code generator's IR of what the user-space kernel runs
    ///
    /// Cranelift's IR as it is made of the lowered code, or with `--clif=optimized` as the code generator leaves it. Above
    /// the lines that come from an instruction stand that and its source line.
    #[arg(long, value_enum, value_name = "STAGE", num_args = 0..=1, require_equals = true,
        default_missing_value = "lifted", hide_possible_values = true, group = "compiled",
        conflicts_with_all = ["cbpf", "source", "raw", "lowered"])]
    clif: Option<Stage>,

    /// Show the native code that the user-space kernel runs
    ///
    /// Machine code of this machine, its places counted from the first function's. Above what comes from an instruction of
    /// the lowered code stand that and its source line; what the code generator has rewritten comes from none. With --raw the bytes are shown.
    #[arg(long, group = "compiled", conflicts_with_all = ["cbpf", "source", "lowered", "clif"])]
    jit: bool,

    /// Leave out passes of the compiler, to see what they do
    ///
    /// Of what --jit and --clif show; of what --lowered shows, `dead` and `array`. docs/jit.md lists the passes; several are
    /// set apart by commas.
    #[arg(long, value_name = "PASS", value_delimiter = ',', value_parser = passes(),
        hide_possible_values = true, requires = "compiled", conflicts_with_all = ["cbpf", "source"])]
    without: Vec<String>,

    /// Show a classic filter in tcpdump's -d notation
    ///
    /// FILE holds what `tcpdump -ddd` prints.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
        conflicts_with_all = ["object", "btf", "kconfig", "kernel_version"])]
    cbpf: Option<PathBuf>,

    /// Show what the classic filter is in eBPF
    #[arg(long, requires = "cbpf", conflicts_with = "object")]
    ebpf: bool,
}

/// The names of passes.
fn passes() -> PossibleValuesParser {
    PossibleValuesParser::new(Pass::all().map(Pass::name))
}

impl Disasm {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let look = Look { source: self.source, raw: self.raw };
        match (&self.object, &self.cbpf) {
            (_, Some(filter)) => classic::run(filter, look, self.ebpf, json),
            (Some(path), None) if self.lowered || self.jit || self.clif.is_some() => {
                let (loaded, rejected) = self.loaded(path)?;
                if !self.lowered {
                    native(&loaded, self.clif, self.raw, json)?;
                } else if json {
                    output::object(&Lowered::of(&loaded))?;
                } else {
                    output::write(|out| Lowered::of(&loaded).write(out))?;
                }
                rejected.map_or(Ok(()), |rejected| Err(rejected.into()))
            }
            (Some(path), None) => {
                let mut spec = inspect::open(path)?;
                // This machine's kernel has nothing to say of another machine's objects.
                let foreign = !self.kernel.given() && spec.endian != Endian::HOST;
                let asked = !self.unresolved && !foreign;
                let answers = if asked { self.answers(&mut spec, path)? } else { Answers::default() };
                let only = self.prog.as_deref().map(|name| inspect::program(&spec, name, path)).transpose()?;
                let listing = Listing::of(&spec, only, &answers);
                if json { output::object(&listing) } else { output::write(|out| listing.write(look, out)) }
            }
            (None, None) => unreachable!("clap asks for one of the two"),
        }
    }

    /// Loads the programs as for a run; those that the verifier rejects are named when the others have been shown.
    fn loaded(&self, path: &Path) -> Result<(Loaded<User>, Option<Rejected>), Failure> {
        let spec = inspect::open(path)?;
        let only = self.prog.as_deref().map(|name| inspect::program(&spec, name, path)).transpose()?;
        let later = |name: &&String| !matches!(Pass::named(name), Some(Pass::Dead | Pass::Array));
        if self.lowered
            && let Some(name) = self.without.iter().find(later)
        {
            let message = format!("`--lowered` shows the code before pass `{name}` is made");
            let help = "leave out `dead` or `array`, or see it with `--clif` or `--jit`";
            return Err(Diagnostic::new("option", message, Place::Nowhere).help(help).into());
        }
        let passes = self.without.iter().filter_map(|name| Pass::named(name)).fold(Passes::default(), Passes::without);
        let user = self.kernel.user(User::builder().passes(passes), Some(&spec))?.build();
        let options = Options { programs: only.map(|program| vec![program.name.clone()]), ty: None };
        let named = |why: Diagnostic| why.in_file(path.display().to_string());
        let (loaded, rejected) = several::load(&spec, &user, &options).map_err(|all| all.map(named))?;
        Ok((loaded, rejected.map(|all| all.map(named))))
    }

    /// Has the kernel answer what the object asks: in its instructions, and in words.
    fn answers(&self, spec: &mut Spec, path: &Path) -> Result<Answers, Failure> {
        let kernel = self.kernel.described(spec)?;
        let mut answers = Answers::of_externs(spec, &kernel);
        if kernel.btf.is_some() {
            let named = |why: Diagnostic| why.in_file(path.display().to_string());
            let poisoned = apply_core(spec, &kernel)
                .map_err(|all| Failure::from(all.into_iter().map(named).collect::<Vec<_>>()))?;
            answers.fail(poisoned);
        }
        Ok(answers)
    }
}
