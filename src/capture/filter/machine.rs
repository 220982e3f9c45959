//! The machine that compiled filters are for (S. McCanne, V. Jacobson, "The BSD Packet Filter", 1993, section 3.3).
//! In: a program as libpcap compiles it, packets. Out: whether it lets them pass.
//!
//! libpcap would run it too, but its binding tells it nothing of a packet that snaplen cut: `len`, `less` and `greater`
//! mean the packet's length on the wire.

/// Instructions for one packet: far more than any filter without a loop has, and `protochain` alone has a loop.
const MOST_STEPS: usize = 1 << 16;

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program(Vec<Instruction>);

/// The right-hand side of an operation: a number or the index register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    Number(u32),
    Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Word,
    Half,
    Byte,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Negate,
    Modulo,
    ExclusiveOr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instruction {
    Load {
        width: Width,
        at: u32,
        indexed: bool,
    },
    LoadLength,
    LoadNumber(u32),
    LoadCell(u32),
    IndexLength,
    IndexNumber(u32),
    IndexCell(u32),
    /// The length of an IPv4 header: four times the lower half of a byte.
    IndexHeaderLength(u32),
    Store(u32),
    StoreIndex(u32),
    Calculate(Arithmetic, Operand),
    /// Back, too: `protochain` has a loop.
    Jump(i32),
    Branch {
        test: Test,
        with: Operand,
        yes: u8,
        no: u8,
    },
    Return(u32),
    ReturnAccumulator,
    ToIndex,
    FromIndex,
}

impl Program {
    /// Reads a program's instructions, each as its four numbers: code, jump if true, jump if false, operand. `None` if one of
    /// them is no instruction.
    pub(super) fn new(instructions: impl IntoIterator<Item = [u32; 4]>) -> Option<Self> {
        instructions.into_iter().map(Instruction::new).collect::<Option<_>>().map(Self)
    }

    /// Whether a packet passes of which `data` was kept and which had `wire_len` bytes. A load from beyond what was kept
    /// lets it not pass, as in libpcap.
    pub(super) fn passes(&self, data: &[u8], wire_len: u32) -> bool {
        self.run(data, wire_len).is_some_and(|kept| kept > 0)
    }

    fn run(&self, data: &[u8], wire_len: u32) -> Option<u32> {
        let (mut accumulator, mut index, mut cells) = (0_u32, 0_u32, [0_u32; 16]);
        let mut at = 0_usize;
        for _ in 0..MOST_STEPS {
            let instruction = *self.0.get(at)?;
            at += 1;
            let value = |operand| match operand {
                Operand::Number(number) => number,
                Operand::Index => index,
            };
            match instruction {
                Instruction::Load { width, at, indexed } => {
                    let at = at.checked_add(if indexed { index } else { 0 })?;
                    accumulator = load(data, at, width)?;
                }
                Instruction::LoadLength => accumulator = wire_len,
                Instruction::LoadNumber(number) => accumulator = number,
                Instruction::LoadCell(cell) => accumulator = *cells.get(cell as usize)?,
                Instruction::IndexLength => index = wire_len,
                Instruction::IndexNumber(number) => index = number,
                Instruction::IndexCell(cell) => index = *cells.get(cell as usize)?,
                Instruction::IndexHeaderLength(at) => index = (load(data, at, Width::Byte)? & 0xf) << 2,
                Instruction::Store(cell) => *cells.get_mut(cell as usize)? = accumulator,
                Instruction::StoreIndex(cell) => *cells.get_mut(cell as usize)? = index,
                Instruction::Calculate(how, with) => accumulator = how.of(accumulator, value(with))?,
                Instruction::Jump(by) => at = at.checked_add_signed(isize::try_from(by).ok()?)?,
                Instruction::Branch { test, with, yes, no } => {
                    let holds = test.holds(accumulator, value(with));
                    at += usize::from(if holds { yes } else { no });
                }
                Instruction::Return(kept) => return Some(kept),
                Instruction::ReturnAccumulator => return Some(accumulator),
                Instruction::ToIndex => index = accumulator,
                Instruction::FromIndex => accumulator = index,
            }
        }
        None
    }
}

/// Big-endian, as everything on the wire.
#[inline]
fn load(data: &[u8], at: u32, width: Width) -> Option<u32> {
    let from = data.get(at as usize..)?;
    Some(match width {
        Width::Word => u32::from_be_bytes(*from.first_chunk()?),
        Width::Half => u16::from_be_bytes(*from.first_chunk()?).into(),
        Width::Byte => (*from.first()?).into(),
    })
}

impl Test {
    const fn holds(self, accumulator: u32, with: u32) -> bool {
        match self {
            Self::Equal => accumulator == with,
            Self::Greater => accumulator > with,
            Self::GreaterOrEqual => accumulator >= with,
            Self::AnyBit => accumulator & with != 0,
        }
    }
}

impl Arithmetic {
    /// Modulo 2^32; a division by zero lets the packet not pass.
    const fn of(self, accumulator: u32, with: u32) -> Option<u32> {
        Some(match self {
            Self::Add => accumulator.wrapping_add(with),
            Self::Subtract => accumulator.wrapping_sub(with),
            Self::Multiply => accumulator.wrapping_mul(with),
            Self::Divide => return accumulator.checked_div(with),
            Self::Modulo => return accumulator.checked_rem(with),
            Self::Or => accumulator | with,
            Self::And => accumulator & with,
            Self::ExclusiveOr => accumulator ^ with,
            Self::ShiftLeft if with < 32 => accumulator << with,
            Self::ShiftRight if with < 32 => accumulator >> with,
            Self::ShiftLeft | Self::ShiftRight => 0,
            Self::Negate => accumulator.wrapping_neg(),
        })
    }
}

impl Instruction {
    /// The encoding of `<net/bpf.h>`: the class in the lowest three bits, then size, mode and operation.
    fn new([code, yes, no, k]: [u32; 4]) -> Option<Self> {
        let (class, size, mode) = (code & 0x07, code & 0x18, code & 0xe0);
        let with = if code & 0x08 == 0 { Operand::Number(k) } else { Operand::Index };
        // In other classes these bits belong to the operation.
        let width = match size {
            0x00 => Some(Width::Word),
            0x08 => Some(Width::Half),
            0x10 => Some(Width::Byte),
            _ => None,
        };
        Some(match (class, mode) {
            (0, 0x00) => Self::LoadNumber(k),
            (0, 0x20) => Self::Load { width: width?, at: k, indexed: false },
            (0, 0x40) => Self::Load { width: width?, at: k, indexed: true },
            (0, 0x60) => Self::LoadCell(k),
            (0, 0x80) => Self::LoadLength,
            (1, 0x00) => Self::IndexNumber(k),
            (1, 0x60) => Self::IndexCell(k),
            (1, 0x80) => Self::IndexLength,
            (1, 0xa0) => Self::IndexHeaderLength(k),
            (2, _) => Self::Store(k),
            (3, _) => Self::StoreIndex(k),
            (4, _) => Self::Calculate(Arithmetic::new(code & 0xf0)?, with),
            (5, _) if code & 0xf0 == 0 => Self::Jump(k.cast_signed()),
            (5, _) => {
                let test = match code & 0xf0 {
                    0x10 => Test::Equal,
                    0x20 => Test::Greater,
                    0x30 => Test::GreaterOrEqual,
                    0x40 => Test::AnyBit,
                    _ => return None,
                };
                Self::Branch { test, with, yes: u8::try_from(yes).ok()?, no: u8::try_from(no).ok()? }
            }
            (6, _) if size == 0x10 => Self::ReturnAccumulator,
            (6, _) => Self::Return(k),
            (7, _) if code & 0x80 == 0 => Self::ToIndex,
            (7, _) => Self::FromIndex,
            _ => return None,
        })
    }
}

impl Arithmetic {
    const fn new(operation: u32) -> Option<Self> {
        Some(match operation {
            0x00 => Self::Add,
            0x10 => Self::Subtract,
            0x20 => Self::Multiply,
            0x30 => Self::Divide,
            0x40 => Self::Or,
            0x50 => Self::And,
            0x60 => Self::ShiftLeft,
            0x70 => Self::ShiftRight,
            0x80 => Self::Negate,
            0x90 => Self::Modulo,
            0xa0 => Self::ExclusiveOr,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASS: [u32; 4] = [0x06, 0, 0, 1];
    const FAIL: [u32; 4] = [0x06, 0, 0, 0];

    fn passes(instructions: &[[u32; 4]], data: &[u8], wire_len: u32) -> bool {
        Program::new(instructions.iter().copied()).unwrap().passes(data, wire_len)
    }

    #[test]
    fn what_was_cut_away_cannot_be_loaded_but_the_length_is_the_wire_s() {
        // ldh [12]; ret A
        let half = [[0x28, 0, 0, 12], [0x16, 0, 0, 0]];
        assert!(passes(&half, &[1; 14], 14));
        assert!(!passes(&half, &[0; 14], 14));
        assert!(!passes(&half, &[1; 13], 14));
        // ld len; jgt #100
        let length = [[0x80, 0, 0, 0], [0x25, 0, 1, 100], PASS, FAIL];
        assert!(passes(&length, &[], 101));
        assert!(!passes(&length, &[], 100));
    }

    #[test]
    fn an_index_beyond_the_end_of_numbers_does_not_wrap() {
        // ldx #0xffffffff; ldb [x + 1]; ret #1
        assert!(!passes(&[[0x01, 0, 0, u32::MAX], [0x50, 0, 0, 1], PASS], &[7; 4], 4));
    }

    #[test]
    fn nothing_is_divided_by_zero_or_shifted_out_of_the_world() {
        let by_zero = |code| passes(&[[0x00, 0, 0, 8], [code, 0, 0, 0], PASS], &[], 0);
        assert!(!by_zero(0x34));
        assert!(!by_zero(0x94));
        assert!(!passes(&[[0x00, 0, 0, 8], [0x64, 0, 0, 32], [0x16, 0, 0, 0]], &[], 0));
        assert!(passes(&[[0x00, 0, 0, 8], [0x74, 0, 0, 3], [0x16, 0, 0, 0]], &[], 0));
    }

    #[test]
    fn a_program_without_an_end_ends() {
        assert!(!passes(&[[0x05, 0, 0, u32::MAX]], &[], 0));
        assert!(!passes(&[[0x05, 0, 0, i32::MIN as u32]], &[], 0));
        assert!(!passes(&[], &[], 0));
        assert!(!passes(&[[0x15, 9, 9, 0], PASS], &[], 0));
    }

    #[test]
    fn what_is_no_instruction_is_refused() {
        assert_eq!(Program::new([[0x38, 0, 0, 0]]), None);
        assert_eq!(Program::new([[0xb4, 0, 0, 0]]), None);
        assert_eq!(Program::new([[0x15, 256, 0, 0]]), None);
    }
}
