//! Numbers as text. Pages hold thousands of them, and the formatting machinery of the standard library takes several
//! times as long.

/// Appends `number` in decimal.
pub(crate) fn write_number(number: u64, out: &mut String) {
    write_padded(number, 1, out);
}

/// Appends `number` in decimal with leading zeros up to `digits` digits (at most 20).
pub(crate) fn write_padded(number: u64, digits: usize, out: &mut String) {
    let mut buffer = [b'0'; 20];
    let (mut left, mut at) = (number, buffer.len());
    while left > 0 {
        at -= 1;
        // A digit fits into a byte.
        buffer[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let start = at.min(buffer.len() - digits.min(buffer.len()));
    out.extend(buffer[start..].iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_the_standard_library_writes_them(number: u64, digits in 0_usize..=20) {
            let mut text = String::new();
            write_padded(number, digits, &mut text);
            prop_assert_eq!(text, format!("{number:0digits$}"));
        }
    }

    #[test]
    fn zero_is_a_digit() {
        let mut text = String::new();
        write_number(0, &mut text);
        assert_eq!(text, "0");
    }
}
