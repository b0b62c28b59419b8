//! Pass `align`: where a function begins in its line of the instruction cache, so that its loops touch few lines. The
//! code generator does not align loops; a loop that lies across one line more can take half as long again.
//!
//! Sound because code does the same wherever it stands: only the room before it changes.

use super::emitted::Emitted;
use std::ops::Range;

/// Bytes of a line, which processors fetch at once.
const LINE: usize = 64;
/// Functions begin at multiples of this: constants stand between their instructions, the widest ones aligned to it.
const STEP: usize = 16;
/// Loops that are looked at: of functions that have more, the others lie as they come.
const MOST: usize = 256;

/// How many bytes behind a line's start a function begins best.
pub(super) fn begin(emitted: &Emitted<'_>) -> usize {
    let loops = loops(emitted);
    let touched = |begin: usize| {
        let lines = loops.iter().map(|at| (begin + at.end - 1) / LINE - (begin + at.start) / LINE);
        lines.sum::<usize>()
    };
    (0..LINE).step_by(STEP).min_by_key(|&begin| touched(begin)).unwrap_or(0)
}

/// The bytes of loops: from the target of each jump back to the end of the block that jumps.
fn loops(emitted: &Emitted<'_>) -> Vec<Range<usize>> {
    let compiled = emitted.compiled;
    let size = compiled.code_buffer().len();
    let back = compiled.bb_edges.iter().filter(|(from, to)| to <= from);
    let range = |&(from, to): &(u32, u32)| {
        let next = compiled.bb_starts.partition_point(|&start| start <= from);
        let end = compiled.bb_starts.get(next).map_or(size, |&start| start as usize);
        emitted.place(to as usize)..emitted.place(end)
    };
    back.map(range).filter(|at| at.len() < 8 * LINE).take(MOST).collect()
}
