use super::*;
use crate::{CmpOp, Inst, Operand, Reg, Wide, Width, decode};

/// A small generator (an LCG): failures can be repeated.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }
}

fn ancillary(which: Ancillary) -> Option<u32> {
    match which {
        Ancillary::Protocol => Some(0x0800),
        Ancillary::PktType => Some(4),
        Ancillary::Mark => Some(0xdead_beef),
        Ancillary::IfIndex => Some(3),
        Ancillary::Cpu => Some(1),
        Ancillary::Random => Some(0x1234_5678),
        Ancillary::VlanTpid => Some(0x8100),
        _ => Some(which as u32),
    }
}

fn packet(data: &[u8]) -> Packet<'_> {
    Packet { data, len: data.len() as u32 + 7, network: 14, ancillary: &ancillary }
}

/// The few extended instructions that a translation has, run plainly.
fn run_extended(insns: &[crate::Insn], packet: &Packet<'_>) -> u64 {
    let mut r = [0u64; 11];
    let mut stack = [0u32; MEM_WORDS];
    let mut at = 0;
    loop {
        let inst = decode(insns, at).unwrap();
        at += 1;
        let value = |r: &[u64; 11], src| match src {
            Operand::Reg(reg) => r[reg.0 as usize],
            Operand::Imm(imm) => imm as i64 as u64,
        };
        // Classic BPF only jumps forward, so this ends.
        let mut skip = |off: i32| at += usize::try_from(off).unwrap();
        // The classic machine's own load, by X so that no offset is an ancillary one.
        let packet_load = |at: u32, width: Width| {
            let code = match width {
                Width::B1 => 0x50,
                Width::B2 => 0x48,
                _ => 0x40,
            };
            let load = |end| Filter::new(vec![insn(0x01, 0, 0, at), insn(code, 0, 0, 0), end]).unwrap();
            (run(&load(ret(1)), packet) == 1).then(|| u64::from(run(&load(ret_a()), packet)))
        };
        match inst {
            Inst::Alu { wide, op, dst, src } => {
                let (a, b) = (r[dst.0 as usize], value(&r, src));
                assert!(wide == Wide::W32 || op == crate::AluOp::Mov);
                let (a32, b32) = (a as u32, b as u32);
                r[dst.0 as usize] = match (wide, op) {
                    (Wide::W64, _) => b,
                    (_, crate::AluOp::Mov) => b32.into(),
                    (_, crate::AluOp::Add) => a32.wrapping_add(b32).into(),
                    (_, crate::AluOp::Sub) => a32.wrapping_sub(b32).into(),
                    (_, crate::AluOp::Mul) => a32.wrapping_mul(b32).into(),
                    (_, crate::AluOp::Div) => a32.checked_div(b32).unwrap_or(0).into(),
                    (_, crate::AluOp::Mod) => a32.checked_rem(b32).unwrap_or(a32).into(),
                    (_, crate::AluOp::Or) => (a32 | b32).into(),
                    (_, crate::AluOp::And) => (a32 & b32).into(),
                    (_, crate::AluOp::Xor) => (a32 ^ b32).into(),
                    (_, crate::AluOp::Lsh) => a32.wrapping_shl(b32).into(),
                    (_, crate::AluOp::Rsh) => a32.wrapping_shr(b32).into(),
                    other => panic!("{other:?}"),
                };
            }
            Inst::Neg { dst, .. } => r[dst.0 as usize] = (r[dst.0 as usize] as u32).wrapping_neg().into(),
            Inst::LoadAbs { width, imm } => match packet_load(imm as u32, width) {
                Some(value) => r[0] = value,
                None => return 0,
            },
            Inst::LoadInd { width, src, imm } => {
                match packet_load((r[src.0 as usize].wrapping_add(imm as i64 as u64)) as u32, width) {
                    Some(value) => r[0] = value,
                    None => return 0,
                }
            }
            Inst::Load { dst, src: Reg::FP, off, .. } => r[dst.0 as usize] = stack[(-off / 4 - 1) as usize].into(),
            Inst::Store { off, src, .. } => stack[(-off / 4 - 1) as usize] = value(&r, src) as u32,
            Inst::Load { dst, off, .. } => {
                let field = match off {
                    0 => packet.len,
                    4 => 4,
                    8 => 0xdead_beef,
                    12 => Ancillary::Queue as u32,
                    16 => 0x0800u16.to_be().into(),
                    20 => Ancillary::VlanTagPresent as u32,
                    24 => Ancillary::VlanTag as u32,
                    28 => 0x8100u16.to_be().into(),
                    40 => 3,
                    68 => Ancillary::RxHash as u32,
                    other => panic!("field {other}"),
                };
                r[dst.0 as usize] = field.into();
            }
            Inst::Swap { dst, .. } => r[dst.0 as usize] = (r[dst.0 as usize] as u16).to_be().into(),
            Inst::CallHelper { id } => {
                r[1..6].fill(u64::MAX);
                r[0] = if id == 8 { 1 } else { 0x1234_5678 };
            }
            Inst::Ja { off, .. } => skip(off),
            Inst::Jmp { wide: Wide::W64, op, dst, src, off } => {
                let (a, b) = (r[dst.0 as usize], value(&r, src));
                let taken = match op {
                    CmpOp::Eq => a == b,
                    CmpOp::Ne => a != b,
                    CmpOp::Gt => a > b,
                    CmpOp::Ge => a >= b,
                    CmpOp::Lt => a < b,
                    CmpOp::Le => a <= b,
                    CmpOp::Set => a & b != 0,
                    other => panic!("{other:?}"),
                };
                if taken {
                    skip(off.into());
                }
            }
            Inst::Exit => return r[0],
            other => panic!("not in a translation: {other}"),
        }
    }
}

fn ret(k: u32) -> SockFilter {
    SockFilter { code: 0x06, k, ..SockFilter::default() }
}

fn ret_a() -> SockFilter {
    SockFilter { code: 0x16, ..SockFilter::default() }
}

fn insn(code: u16, jt: u8, jf: u8, k: u32) -> SockFilter {
    SockFilter { code, jt, jf, k }
}

const CODES: [u16; 40] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74,
    0x7c, 0x84, 0x94, 0x9c, 0xa4, 0xac, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x61, 0x80, 0x81, 0xb1, 0x07, 0x87,
    0x05, 0x15,
];
const JUMPS: [u16; 7] = [0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d];

fn generated(rng: &mut Rng) -> Vec<SockFilter> {
    let mut insns: Vec<SockFilter> = (0..16).map(|cell| insn(0x02, 0, 0, cell)).collect();
    for _ in 0..rng.below(30) {
        let code = if rng.below(4) == 0 { rng.pick(&JUMPS) } else { rng.pick(&CODES) };
        let any = rng.below(u32::MAX);
        let k = rng.pick(&[0, 1, 3, 12, 15, 20, 31, 14, 0x800, 0xffff_ffff, 0x8000_0000, any]);
        let k = match code {
            0x02 | 0x03 | 0x60 | 0x61 => k % 16,
            0x64 | 0x74 => k % 32,
            0x34 | 0x94 => k.max(1),
            0x05 => k % 3,
            0x20 | 0x28 | 0x30 => {
                let ancillary = SKF_AD_OFF as u32 + 4 * rng.below(16);
                let network = SKF_NET_OFF as u32 + rng.below(50);
                let link = SKF_LL_OFF as u32 + rng.below(50);
                let plain = rng.below(50);
                rng.pick(&[plain, plain, plain, ancillary, network, link])
            }
            _ => k,
        };
        insns.push(insn(code, rng.below(4) as u8, rng.below(4) as u8, k));
    }
    insns.extend([ret_a(), ret(5), ret(0xffff_ffff), ret_a()]);
    insns
}

#[test]
fn translation_means_the_same_on_generated_filters() {
    let mut rng = Rng(1);
    let (mut ran, mut refused, mut results) = (0, 0, std::collections::HashSet::new());
    for _ in 0..20_000 {
        let filter = Filter::new(generated(&mut rng)).unwrap();
        let translated = match translate(&filter) {
            Ok(translated) => translated,
            Err(error) => {
                let name = error.ancillary.name();
                assert!(["nla", "nlan", "hatype", "poff"].contains(&name), "{error}");
                refused += 1;
                continue;
            }
        };
        for len in [0, 20, 60] {
            let data: Vec<u8> = (0..len).map(|_| rng.pick(&[0, 6, 0x45, 0xff, 8])).collect();
            let packet = packet(&data);
            let expected = run(&filter, &packet);
            assert_eq!(run_extended(&translated, &packet), expected.into(), "\n{}", print(filter.insns()));
            results.insert(expected);
            ran += 1;
        }
    }
    assert!(ran > 30_000 && refused > 100 && results.len() > 1000, "{ran} {refused} {}", results.len());
}

#[test]
fn translation_is_linux_s() {
    let filter =
        Filter::new(parse("6\n40 0 0 12\n21 0 2 2048\n177 0 0 14\n69 1 0 4\n6 0 0 0\n6 0 0 262144\n").unwrap());
    let insns = translate(&filter.unwrap()).unwrap();
    let text: Vec<String> = (0..insns.len()).map(|at| decode(&insns, at).unwrap().to_string()).collect();
    assert_eq!(
        text,
        [
            "w0 = 0",
            "w7 = 0",
            "r6 = r1",
            "r0 = *(u16 *)skb[12]",
            "if r0 != 2048 goto +8",
            "r7 = r0",
            "r0 = *(u8 *)skb[14]",
            "w0 &= 15",
            "w0 <<= 2",
            "r2 = r7",
            "r7 = r0",
            "r0 = r2",
            "if r0 & 4 goto +2",
            "w0 = 0",
            "exit",
            "w0 = 262144",
            "exit",
        ]
    );
}

#[test]
fn what_linux_refuses_is_refused_by_field() {
    #[rustfmt::skip]
    let rows = [
        (vec![], "a filter of 0 instructions: expected 1 to 4096"),
        (vec![ret(0); 4097], "a filter of 4097 instructions: expected 1 to 4096"),
        (vec![insn(0x99, 0, 0, 0), ret(0)], "instruction 0: code is 0x99; expected an instruction of classic BPF"),
        (vec![insn(0x104, 0, 0, 0), ret(0)], "instruction 0: code is 0x104; expected an instruction of classic BPF"),
        (vec![insn(0x34, 0, 0, 0), ret(0)], "instruction 0: k is 0; expected a divisor that is not 0"),
        (vec![insn(0x64, 0, 0, 32), ret(0)], "instruction 0: k is 32; expected a shift of less than 32"),
        (vec![insn(0x02, 0, 0, 16), ret(0)], "instruction 0: k is 16; expected a cell of scratch memory, 0 to 15"),
        (vec![insn(0x60, 0, 0, 1), ret(0)], "instruction 0: k is 1; expected a cell that was written before on every path"),
        (vec![insn(0x15, 0, 1, 0), insn(0x02, 0, 0, 1), insn(0x60, 0, 0, 1), ret(0)], "instruction 2: k is 1; expected a cell that was written before on every path"),
        (vec![insn(0x05, 0, 0, 1), ret(0)], "instruction 0: k is 1; expected a jump forward inside the filter"),
        (vec![insn(0x05, 0, 0, 0xffff_ffff), ret(0)], "instruction 0: k is 4294967295; expected a jump forward inside the filter"),
        (vec![insn(0x15, 1, 0, 0), ret(0)], "instruction 0: jt is 1; expected a jump inside the filter"),
        (vec![insn(0x15, 0, 1, 0), ret(0)], "instruction 0: jf is 1; expected a jump inside the filter"),
        (vec![insn(0x20, 0, 0, 0xffff_f001), ret(0)], "instruction 0: k is 4294963201; expected an offset, or one of Linux's ancillary loads"),
        (vec![insn(0x87, 0, 0, 0)], "instruction 0: code is 0x87; expected a return as the last instruction"),
    ];
    for (insns, expected) in rows {
        assert_eq!(Filter::new(insns).unwrap_err().to_string(), expected);
    }
}

#[test]
fn text_errors_name_line_and_field() {
    #[rustfmt::skip]
    let rows = [
        ("", "line 1: count is missing; expected the number of instructions, 1 to 4096"),
        ("x\n", "line 1: count is `x`; expected the number of instructions, 1 to 4096"),
        ("99999\n", "line 1: count is `99999`; expected the number of instructions, 1 to 4096"),
        ("0\n", "line 1: count is `0`; expected the number of instructions, 1 to 4096"),
        ("1\n6 0 0\n", "line 2: k is missing; expected a number of 32 bits"),
        ("1\n6 0 256 1\n", "line 2: jf is `256`; expected a number of 8 bits"),
        ("1\n65536 0 0 1\n", "line 2: code is `65536`; expected a number of 16 bits"),
        ("1\n6 0 0 4294967296\n", "line 2: k is `4294967296`; expected a number of 32 bits"),
        ("1\n6 0 0 0 0\n", "line 2: line is `0`; expected four numbers: code, jt, jf, k"),
        ("2\n6 0 0 0\n", "line 3: line is missing; expected 2 instructions, found 1"),
        ("1\n6 0 0 0\n6 0 0 1\n", "line 3: line is `6 0 0 1`; expected the end after 1 instructions"),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text:?}");
    }
    assert_eq!(parse("1\r\n\r\n 6 0 0 262144 \r\n"), Ok(vec![ret(262_144)]));
}

#[test]
fn what_tcpdump_never_writes_is_printed_too() {
    let insns = [
        insn(0x20, 0, 0, (SKF_AD_OFF + 60) as u32),
        insn(0x28, 0, 0, SKF_NET_OFF as u32),
        insn(0x81, 0, 0, 0),
        insn(0x61, 0, 0, 3),
        insn(0x03, 0, 0, 3),
        insn(0x84, 0, 0, 0),
        insn(0x99, 0, 0, 0),
        ret_a(),
    ];
    let text = print(&insns).to_string();
    let lines: Vec<&str> = text.lines().collect();
    #[rustfmt::skip]
    assert_eq!(lines, [
        "(000) ld       [vlan_tpid]", "(001) ldh      [-1048576]", "(002) ldx      #pktlen", "(003) ldx      M[3]",
        "(004) stx      M[3]", "(005) neg      ", "(006) unimp    0x99", "(007) ret      ",
    ]);
}

#[test]
fn random_filters_never_panic() {
    let mut rng = Rng(9);
    for _ in 0..50_000 {
        let insns: Vec<SockFilter> = (0..rng.below(6) + 1)
            .map(|_| insn(rng.below(0x120) as u16, rng.below(4) as u8, rng.below(4) as u8, rng.below(u32::MAX)))
            .chain([ret_a()])
            .collect();
        drop(print(&insns).to_string());
        if let Ok(filter) = Filter::new(insns) {
            let data = [0x45; 40];
            let result = run(&filter, &packet(&data));
            if let Ok(translated) = translate(&filter) {
                assert_eq!(run_extended(&translated, &packet(&data)), result.into());
            }
        }
    }
}
