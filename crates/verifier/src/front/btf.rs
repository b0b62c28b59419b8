//! What BTF says of functions and lines, held against the code.

use crate::{
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::Rule;
use alveary_btf::{Linkage, Type, TypeId};

/// The records of functions by themselves.
pub(super) fn check_functions_early(v: &mut Verifier<'_>) -> Check {
    let program = v.program.program;
    let Some(btf) = program.btf.as_ref() else { return Ok(()) };
    let mut previous = None;
    for func in &program.funcs {
        match previous {
            None if func.insn != 0 => {
                reject!(v, EINVAL, "nonzero insn_off {} for the first func info record", func.insn)
            }
            Some(before) if func.insn <= before => reject!(
                v,
                EINVAL,
                "same or smaller insn offset ({}) than previous func info record ({before})",
                func.insn
            ),
            _ => {}
        }
        let Some(Type::Func { proto, .. }) = btf.ty(func.ty) else {
            reject!(v, EINVAL, "invalid type id {} in func info", func.ty.0);
        };
        if !matches!(btf.ty(proto), Some(Type::FuncProto(_))) {
            reject!(v, EINVAL, "");
        }
        previous = Some(func.insn);
    }
    Ok(())
}

/// Functions and lines against the code.
pub(super) fn check(v: &mut Verifier<'_>) -> Check {
    let program = v.program.program;
    if program.btf.is_none() || program.funcs.is_empty() {
        return check_untyped(v);
    }
    refuse_exceptions(v)?;
    check_functions(v)?;
    check_lines(v)
}

/// Exceptions are the second half's: their callbacks are named by a tag of the program.
fn refuse_exceptions(v: &Verifier<'_>) -> Check {
    let program = v.program.program;
    let (Some(btf), Some(main)) = (program.btf.as_ref(), program.funcs.first()) else { return Ok(()) };
    let tagged = btf.ids().any(|id| {
        matches!(btf.ty(id), Some(Type::DeclTag { name, ty, component: None })
            if ty == main.ty && name.starts_with("exception_callback:"))
    });
    if tagged {
        refuse!("an exception callback");
    }
    Ok(())
}

fn check_untyped(v: &mut Verifier<'_>) -> Check {
    if v.program.subprogs.iter().skip(1).any(|s| s.has_ld_abs) {
        reject!(v, EINVAL, "LD_ABS is not allowed in subprogs without BTF\n");
    }
    if v.program.subprogs.iter().skip(1).any(|s| s.has_tail_call) {
        reject!(v, EINVAL, "tail_call is not allowed in subprogs without BTF\n");
    }
    Ok(())
}

fn check_functions(v: &mut Verifier<'_>) -> Check {
    let funcs = &v.program.program.funcs;
    if funcs.len() != v.program.subprogs.len() {
        reject!(v, EINVAL, "number of funcs in func_info doesn't match number of subprogs\n");
    }
    for (n, func) in funcs.iter().enumerate() {
        if v.program.subprogs[n].start != func.insn {
            reject!(v, EINVAL, "func_info BTF section doesn't match subprog layout in BPF program\n");
        }
        let global = v.program.linkage(n as u32) == Some(Linkage::Global);
        v.program.subprogs[n].global = global && v.profile.has(Rule::GlobalFunctions);
        if n == 0 || returns_number(v, func.ty) {
            continue;
        }
        if v.program.subprogs[n].has_ld_abs {
            reject!(v, EINVAL, "LD_ABS is only allowed in functions that return 'int'.\n");
        }
        if v.program.subprogs[n].has_tail_call {
            reject!(v, EINVAL, "tail_call is only allowed in functions that return 'int'.\n");
        }
    }
    Ok(())
}

fn returns_number(v: &Verifier<'_>, func: TypeId) -> bool {
    let Some(btf) = v.program.program.btf.as_ref() else { return false };
    let Some(Type::Func { proto, .. }) = btf.ty(func) else { return false };
    let Some(Type::FuncProto(proto)) = btf.ty(proto) else { return false };
    match btf.resolved(proto.ret) {
        Type::Int(int) => int.size <= 8,
        Type::Enum(_) | Type::Enum64(_) => true,
        _ => false,
    }
}

fn check_lines(v: &mut Verifier<'_>) -> Check {
    let program = v.program.program;
    let Some(btf) = program.btf.as_ref() else { return Ok(()) };
    if program.lines.is_empty() {
        return Ok(());
    }
    let mut next = 0;
    let mut previous = 0;
    for (n, line) in program.lines.iter().enumerate() {
        if n > 0 && line.insn <= previous || line.insn >= v.program.len() {
            reject!(
                v,
                EINVAL,
                "Invalid line_info[{n}].insn_off:{} (prev_offset:{previous} prog->len:{})\n",
                line.insn,
                v.program.len()
            );
        }
        if v.program.slot(line.insn).op == 0 {
            reject!(v, EINVAL, "Invalid insn code at line_info[{n}].insn_off\n");
        }
        if btf.string(line.text).is_none() || btf.string(line.file).is_none() {
            reject!(v, EINVAL, "Invalid line_info[{n}].line_off or .file_name_off\n");
        }
        if let Some(subprog) = v.program.subprogs.get(next) {
            if line.insn == subprog.start {
                next += 1;
            } else if subprog.start < line.insn {
                reject!(v, EINVAL, "missing bpf_line_info for func#{next}\n");
            }
        }
        previous = line.insn;
    }
    let count = v.program.subprogs.len();
    if next != count {
        reject!(v, EINVAL, "missing bpf_line_info for {} funcs starting from func#{next}\n", count - next);
    }
    Ok(())
}
