//! Variables in an arena (`.addr_space.1`): the first content of the object's one arena map.

use super::{Maps, Source};
use alveary_abi::MapType;
use alveary_diag::Diagnostic;
use alveary_spec::Initial;

/// The section of variables of address space 1.
pub(super) const SECTION: &str = ".addr_space.1";
/// Arenas are measured in pages, of at least so many bytes.
const PAGE: u64 = 4096;

/// Gives the arena its content. It is called once all maps are known.
pub(super) fn read(source: &Source<'_>, index: usize, maps: &mut Maps) -> Result<(), Diagnostic> {
    let section = &source.elf.sections[index];
    let bad = |message: &str| Diagnostic::new("arena", message.to_owned(), section.place(0));
    let mut arenas = maps.specs.values_mut().filter(|m| m.def.ty == MapType::ARENA);
    // Another object may have it, until both are linked; programs that use the variables are refused.
    let Some(arena) = arenas.next() else { return Ok(()) };
    if let Some(other) = arenas.next() {
        return Err(bad("there are variables for an arena, and two arenas")
            .expected("one map of type BPF_MAP_TYPE_ARENA")
            .found(format!("`{}` and `{}`", arena.name, other.name)));
    }
    let room = PAGE * u64::from(arena.def.max_entries);
    if section.size > room {
        return Err(bad("the arena is too small for the variables in it")
            .expected(format!("at most {room} bytes in `{}`", arena.name))
            .found(format!("{} bytes", section.size))
            .help("give the arena more pages: `__uint(max_entries, …)`"));
    }
    arena.initial = if section.is_zero() { Initial::Empty } else { Initial::Bytes(section.data.to_vec()) };
    maps.data.insert(index, arena.name.clone());
    Ok(())
}
