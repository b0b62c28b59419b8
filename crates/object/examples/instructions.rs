//! The instructions of objects, resolved for this machine's kernel, in this machine's byte order:
//! `cargo run -p alveary-object --example instructions OBJECT…`. What `cargo xtask libbpf` compares with libbpf's.
//!
//! For each object `object PATH`, then `refused WHY`, or for each program `program NAME HEX [SLOT=MAP…]` or `unresolved
//! NAME WHY`. References to maps are named, as libbpf would have them before it knows their descriptors.

use alveary_abi::{Profile, ProgType, Version};
use alveary_btf::Btf;
use alveary_isa::{Endian, Insn, Reg};
use alveary_object::{Options, parse_kconfig, read, resolve};
use alveary_spec::{Kernel, Program, ProgramSpec, Spec};
use std::{collections::BTreeMap, error::Error, fs, process::Command, sync::Arc};

const LD_IMM64: u8 = 0x18;
/// Characters of a map's name.
const LONGEST_NAME: usize = 15;
const HOST: Endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };

fn main() -> Result<(), Box<dyn Error>> {
    let ours = this_kernel()?;
    // Objects of the other byte order are resolved for a kernel that is the same but for that.
    let swapped = ours.btf.as_ref().map(|btf| Btf::read(&btf.write(other(HOST)), None)).transpose()?;
    let theirs = Kernel { btf: swapped.map(Arc::new), ..ours.clone() };
    for path in std::env::args().skip(1) {
        println!("object {path}");
        let spec = match read(&fs::read(&path)?) {
            Ok(spec) => spec,
            Err(why) => {
                println!("refused {}", line(&why.to_string()));
                continue;
            }
        };
        let mut programs: Vec<&ProgramSpec> = spec.programs.values().collect();
        programs.sort_by_key(|p| p.order);
        for program in programs {
            one(&spec, program, if spec.endian == HOST { &ours } else { &theirs });
        }
    }
    Ok(())
}

/// Resolves one program for itself, and prints it.
fn one(spec: &Spec, program: &ProgramSpec, kernel: &Kernel) {
    let wanted = Options { programs: Some(vec![program.name.clone()]), ty: Some(ProgType::XDP) };
    match resolve(spec, kernel, &wanted) {
        Ok(resolved) => match resolved.programs.iter().find(|p| *p.name == *program.name) {
            Some(program) => println!("program {}", text(program)),
            None => println!("unresolved {} it is not among the resolved", program.name),
        },
        Err(why) => {
            println!("unresolved {} {}", program.name, why.first().map_or_else(String::new, |d| line(&d.to_string())))
        }
    }
}

fn text(program: &Program) -> String {
    let mut hex = String::new();
    let mut maps = String::new();
    for (slot, insn) in program.insns.iter().enumerate() {
        let mut insn = *insn;
        // A second slot has no operation code.
        if insn.op == LD_IMM64 && matches!(insn.src.0, 5 | 6) {
            let name = program.maps.get(insn.imm as usize).map_or("?", String::as_str);
            // libbpf cuts the names of sections to what the kernel takes.
            let name = if name.starts_with('.') { name.get(..LONGEST_NAME).unwrap_or(name) } else { name };
            maps += &format!(" {slot}={name}");
            insn = Insn { src: Reg(insn.src.0 - 4), imm: 0, ..insn };
        }
        hex.extend(insn.to_bytes(HOST).iter().map(|byte| format!("{byte:02x}")));
    }
    format!("{} {hex}{maps}", program.name)
}

/// The running kernel, as well as it shows itself.
fn this_kernel() -> Result<Kernel, Box<dyn Error>> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u16>().unwrap_or(0));
    let (major, minor, patch) = (numbers.next(), numbers.next(), numbers.next());
    let version = Version(major.unwrap_or(0), minor.unwrap_or(0));
    let config = Command::new("zcat").arg("/proc/config.gz").output()?;
    let mut symbols = BTreeMap::new();
    for line in fs::read_to_string("/proc/kallsyms")?.lines() {
        let mut words = line.split_whitespace();
        if let (Some(address), Some(_), Some(name)) = (words.next(), words.next(), words.next()) {
            symbols.entry(name.to_owned()).or_insert(u64::from_str_radix(address, 16)?);
        }
    }
    Ok(Kernel {
        btf: Some(Arc::new(Btf::read(&fs::read("/sys/kernel/btf/vmlinux")?, None)?)),
        kconfig: parse_kconfig("config", &String::from_utf8(config.stdout)?)?,
        symbols: Some(Arc::new(symbols)),
        ..Kernel::of(Profile::linux(version).at_level(patch.unwrap_or(0).min(255) as u8))
    })
}

fn other(endian: Endian) -> Endian {
    match endian {
        Endian::Little => Endian::Big,
        Endian::Big => Endian::Little,
    }
}

fn line(text: &str) -> String {
    text.replace('\n', " ")
}
