//! Parts of map values that only helpers may touch, found by the names of their types.

use alveary_abi::{Special, SpecialKind};
use alveary_btf::{Btf, Type, TypeId};
use alveary_sort::Sort;

/// Types that the kernel knows by name.
const TYPES: [(&str, SpecialKind); 8] = [
    ("bpf_spin_lock", SpecialKind::SpinLock),
    ("bpf_timer", SpecialKind::Timer),
    ("bpf_wq", SpecialKind::Workqueue),
    ("bpf_list_head", SpecialKind::ListHead),
    ("bpf_list_node", SpecialKind::ListNode),
    ("bpf_rb_root", SpecialKind::RbRoot),
    ("bpf_rb_node", SpecialKind::RbNode),
    ("bpf_refcount", SpecialKind::Refcount),
];
/// Tags of pointers that the kernel looks after.
const KPTR_TAGS: [&str; 4] = ["kptr", "kptr_untrusted", "percpu_kptr", "uptr"];
/// How deep structs are searched, how many array elements are, and how many types in all.
const DEPTH: u32 = 8;
const ELEMENTS: u32 = 64;
const SEARCHED: u32 = 1 << 14;

/// The special parts of a type, by offset.
pub(crate) fn find(btf: &Btf, ty: TypeId) -> Vec<Special> {
    let mut search = Search { btf, found: Vec::new(), left: SEARCHED };
    search.visit(ty, 0, 0);
    search.found.order_by_key(|s| s.off);
    search.found
}

struct Search<'a> {
    btf: &'a Btf,
    found: Vec<Special>,
    left: u32,
}

impl Search<'_> {
    fn visit(&mut self, ty: TypeId, off: u32, depth: u32) {
        if depth > DEPTH || self.left == 0 {
            return;
        }
        self.left -= 1;
        match self.btf.resolved(ty) {
            Type::Struct(t) => {
                if let Some((_, kind)) = TYPES.iter().find(|(name, _)| *name == t.name) {
                    self.found.push(Special { off, kind: *kind });
                    return;
                }
                for member in t.members() {
                    self.visit(member.ty, off.saturating_add(member.bit_offset / 8), depth + 1);
                }
            }
            Type::DataSec(t) => {
                for var in t.vars() {
                    if let Some(Type::Var { ty, .. }) = self.btf.ty(var.ty) {
                        self.visit(ty, off.saturating_add(var.offset), depth + 1);
                    }
                }
            }
            Type::Array(t) => {
                let Some(size) = self.btf.size_of(t.element) else { return };
                for i in 0..t.len.min(ELEMENTS) {
                    self.visit(t.element, off.saturating_add(size.saturating_mul(i)), depth + 1);
                }
            }
            Type::Ptr(to) => {
                if matches!(self.btf.ty(to), Some(Type::TypeTag { name, .. }) if KPTR_TAGS.contains(&name)) {
                    self.found.push(Special { off, kind: SpecialKind::Kptr });
                }
            }
            _ => {}
        }
    }
}
