//! Types as bpftool writes them in front of code and in kernel interfaces: a blank behind each word. Declarations for
//! compilers are `alveary_btf`'s.

use alveary_btf::{Btf, Linkage, Type, TypeId};
use std::fmt::Write as _;

/// Types inside types, at most: what the kernel accepts is far below.
const DEEPEST: u32 = 64;

/// A type; `None` if it makes no sense.
pub(crate) fn prototype(btf: &Btf, ty: TypeId) -> Option<String> {
    let mut text = String::new();
    write_type(btf, ty, DEEPEST, &mut text).then_some(text)
}

/// Whether it could be written.
fn write_type(btf: &Btf, id: TypeId, depth: u32, out: &mut String) -> bool {
    let (Some(depth), Some(ty)) = (depth.checked_sub(1), btf.ty(id)) else { return false };
    let inside = |prefix: &str, ty, out: &mut String| {
        out.push_str(prefix);
        write_type(btf, ty, depth, out)
    };
    let named = |kind: &str, out: &mut String| write!(out, "{kind}{} ", ty.name()).is_ok();
    match ty {
        Type::Void => named("void", out),
        Type::Int(_) | Type::Typedef { .. } | Type::Float { .. } => named("", out),
        Type::Struct(_) | Type::Fwd { union: false, .. } => named("struct ", out),
        Type::Union(_) | Type::Fwd { union: true, .. } => named("union ", out),
        Type::Enum(_) | Type::Enum64(_) => named("enum ", out),
        Type::Array(array) => inside("", array.element, out) && write!(out, "[{}]", array.len).is_ok(),
        Type::Ptr(to) => inside("", to, out) && write!(out, "* ").is_ok(),
        Type::Volatile(inner) => inside("volatile ", inner, out),
        Type::Const(inner) => inside("const ", inner, out),
        Type::Restrict(inner) => inside("restrict ", inner, out),
        Type::TypeTag { ty, .. } => inside("", ty, out),
        Type::Func { proto, .. } => write_function(btf, Some(ty.name()), proto, depth, out),
        Type::FuncProto(_) => write_function(btf, None, id, depth, out),
        Type::Var { ty: inner, linkage, name } => {
            inside(if linkage == Linkage::Static { "static " } else { "" }, inner, out)
                && write!(out, " {name}").is_ok()
        }
        Type::DataSec(section) => write!(out, "section (\"{}\") ", section.name).is_ok(),
        Type::DeclTag { .. } => false,
    }
}

fn write_function(btf: &Btf, name: Option<&str>, proto: TypeId, depth: u32, out: &mut String) -> bool {
    let Some(Type::FuncProto(proto)) = btf.ty(proto) else { return false };
    if !write_type(btf, proto.ret, depth, out) {
        return false;
    }
    out.push_str(name.unwrap_or_default());
    out.push('(');
    for (i, param) in proto.params().enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        if param.ty == TypeId::VOID {
            out.push_str("...");
            continue;
        }
        if !write_type(btf, param.ty, depth, out) {
            return false;
        }
        if param.name.is_empty() && out.ends_with(' ') {
            out.pop();
        }
        out.push_str(param.name);
    }
    out.push(')');
    true
}
