//! A program type's context: abi's layout and access rules joined with the family's backings, by offset.
//! Decides what an access is; does not touch memory.

use crate::{Backing, Step, family::FamilyTable};
use alveary_abi::{Access, CtxLayout, Field, Version};
use alveary_isa::Width;
use alveary_spec::Program;

/// One field as one program may use it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) field: &'static Field,
    pub(crate) backing: &'static Backing,
    access: Access,
}

/// The fields of one program's context.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    places: Vec<Place>,
    /// For each byte of the UAPI struct the number + 1 of its field, 0 for none.
    bytes: Vec<u8>,
    /// For each aligned word of four bytes where a load of 32 bits finds it, if that is all there is to it.
    words: Vec<Option<(Width, u16)>>,
}

/// A load or store inside one field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldAccess {
    pub(crate) place: Place,
    /// Bytes from the field's start.
    pub(crate) within: usize,
}

impl Context {
    pub(crate) fn new(layout: Option<&CtxLayout>, family: &FamilyTable, program: &Program, kernel: Version) -> Context {
        let Some(layout) = layout else { return Context::default() };
        let mut context = Context { bytes: vec![0; usize::from(layout.size)], ..Context::default() };
        for field in layout.fields.iter().filter(|f| f.since <= kernel) {
            let Some(access) = field.access(program.ty, program.expected, kernel) else { continue };
            let Some(backing) = family.backing(field.name) else { continue };
            context.places.push(Place { field, backing, access });
            let number = u8::try_from(context.places.len()).unwrap_or(0);
            let bytes = context.bytes.iter_mut().skip(usize::from(field.off)).take(usize::from(field.size()));
            bytes.for_each(|b| *b = number);
        }
        context.words = (0..u64::from(layout.size)).step_by(4).map(|off| context.plain(off)).collect();
        context
    }

    /// Where a load of 32 bits at `off` finds its value: most fields stand in the context as they are.
    pub(crate) fn word(&self, off: u64) -> Option<(Width, u16)> {
        *self.words.get((off / 4) as usize).filter(|_| off.is_multiple_of(4))?
    }

    fn plain(&self, off: u64) -> Option<(Width, u16)> {
        let access = self.load(off, Width::B4)?;
        let &[Step::Load(width, at)] = access.place.backing.load else { return None };
        let element = access.within / 4;
        let at = at + u16::try_from(element * width.bytes()).ok()?;
        (access.place.field.width == Width::B4).then_some((width, at))
    }

    /// The field that a load means, if it is allowed.
    pub(crate) fn load(&self, off: u64, width: Width) -> Option<FieldAccess> {
        let (place, off) = self.at(off)?;
        let allowed = place.access.reads() && place.field.admits(off, width as u16, false);
        allowed.then(|| FieldAccess { place, within: usize::from(off - place.field.off) })
    }

    /// The field that a store means, if it is allowed.
    pub(crate) fn store(&self, off: u64, width: Width) -> Option<FieldAccess> {
        let (place, off) = self.at(off)?;
        let allowed = place.access.writes() && place.field.admits(off, width as u16, true);
        allowed.then(|| FieldAccess { place, within: usize::from(off - place.field.off) })
    }

    fn at(&self, off: u64) -> Option<(Place, u16)> {
        let off = u16::try_from(off).ok()?;
        let number = self.bytes.get(usize::from(off))?.checked_sub(1)?;
        Some((*self.places.get(usize::from(number))?, off))
    }
}
