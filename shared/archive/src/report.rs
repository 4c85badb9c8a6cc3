//! CSV reports for people, who open them with a spreadsheet: cells that it would run as formulas are defused.
//!
//! Unlike the files of an archive, a report does not hold the exact value: `'` is put in front of whatever would begin
//! like a formula (OWASP, "CSV Injection"). Spreadsheets disagree on where a cell begins. Where the decimal sign is a
//! comma they split a line at `;` and know nothing of the quotes that stand around a value, so a part behind a `;`, a tab
//! or a line end can become a cell of its own and is defused too. What has such a part is in quotes, for spreadsheets
//! that split at all of them.
//!
//! A part that begins with `'` already is treated as if it did not. So taking one `'` off again wherever a formula would
//! follow gives back every value; `docs/admin.md` has the line for it.

use crate::csv::{write_quoted, write_value};

/// Behind these a spreadsheet may begin another cell.
const CELL_ENDS: [char; 4] = [';', '\t', '\r', '\n'];

/// What a formula begins with; in full width, too, as some input methods write it.
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// What may stand in front of a formula: spaces are skipped, quotes taken for those around a cell.
const SKIPPED: [char; 3] = ['\'', '"', ' '];

/// Appends a line of `cells` to `out`.
pub fn write_line<'a>(cells: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let cell = defused(cell);
        if cell.contains(CELL_ENDS) {
            write_quoted(cell.as_bytes(), out);
        } else {
            write_value(cell.as_bytes(), out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The cell with `'` in front of every part that would begin like a formula. A plain number stays as it is.
fn defused(cell: &str) -> String {
    if is_plain_number(cell) {
        return cell.to_owned();
    }
    let mut safe = String::with_capacity(cell.len());
    // Spreadsheets trim what stands in front of all.
    if begins_like_a_formula(cell) || cell.trim_start_matches(SKIPPED).starts_with(['\t', '\r']) {
        safe.push('\'');
    }
    for (place, part) in cell.split_inclusive(CELL_ENDS).enumerate() {
        if place > 0 && begins_like_a_formula(part) {
            safe.push('\'');
        }
        safe.push_str(part);
    }
    safe
}

/// `-inf` and `+nan` are numbers to Rust, and names in a formula to a spreadsheet.
fn is_plain_number(cell: &str) -> bool {
    cell.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) && cell.parse::<f64>().is_ok()
}

fn begins_like_a_formula(part: &str) -> bool {
    part.trim_start_matches(SKIPPED).starts_with(FORMULA_STARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut out = Vec::new();
        write_line(cells.iter().copied(), &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_defused() {
        assert_eq!(
            line(&["7", "=1+1", "+49 30 1", "-5.2", "-1+1", "@a", "\tx", "a=b"]),
            "7,'=1+1,'+49 30 1,-5.2,'-1+1,'@a,\"'\tx\",a=b\r\n"
        );
        assert_eq!(line(&["-inf", "+nan", "-Infinity", "+1e5", "-.5"]), "'-inf,'+nan,'-Infinity,+1e5,-.5\r\n");
        assert_eq!(line(&["=\"a,b\"", "", "\r"]), "\"'=\"\"a,b\"\"\",,\"'\r\"\r\n");
        assert_eq!(line(&[" =1+1", "＝1+1", "\"=1+1"]), "' =1+1,'＝1+1,\"'\"\"=1+1\"\r\n");
    }

    /// C7: where lists are separated by `;`, each part of a value can become a cell.
    #[test]
    fn parts_that_become_cells_elsewhere_are_defused() {
        assert_eq!(line(&["a;=1+1;b"]), "\"a;'=1+1;b\"\r\n");
        assert_eq!(line(&[";=1+1", "a\n=1+1;", "a\t@x"]), "\";'=1+1\",\"a\n'=1+1;\",\"a\t'@x\"\r\n");
        assert_eq!(line(&["a;\"=1+1;", "a; =1+1"]), "\"a;'\"\"=1+1;\",\"a;' =1+1\"\r\n");
        assert_eq!(line(&["a;b", "a\r\nb"]), "\"a;b\",\"a\r\nb\"\r\n");
    }

    /// C7: no cell begins like a formula for a spreadsheet that splits at `;`, whatever it makes of quotes.
    #[test]
    fn no_cell_begins_like_a_formula_when_lines_are_split_at_semicolons() {
        let naughty = ["=1", ";=1", "\";\"=1", "x\";=1;\"", ";;-1;\r\n+1", "\";\"\";@a", ";' =1", "1;2", "a,=1;=2"];
        for (one, other) in naughty.iter().flat_map(|one| naughty.iter().map(move |other| (one, other))) {
            let line = line(&["7", one, other, "end"]);
            let mut cells = line.split(CELL_ENDS).map(|cell| cell.trim_start_matches(['"', ' ']));
            assert!(cells.all(|cell| !cell.starts_with(FORMULA_STARTS)), "{line}");
        }
    }
}
