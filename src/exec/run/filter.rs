//! Runs a condition over columns: rows that satisfy it, by SQL's three-valued logic.
//!
//! Owns [`Truth`] and nothing of typing, which `condition` has settled. A row is in `yes`, in `no`, or, where a
//! null made the answer unknown, in neither; `where` keeps `yes`. Rows outside `live` are in neither set ever, so
//! that `not` cannot raise the dead.

use crate::error::Result;
use crate::exec::settle::condition::{Condition, Number, Test, holds};
use crate::exec::settle::instant::{self, Instant};
use crate::store::{Column, ValueRef};
use crate::types::{Control, RowSet};
use std::sync::Arc;

/// Where each row stands; rows in neither set are unknown.
#[derive(Debug, Clone, PartialEq)]
struct Truth {
    yes: RowSet,
    no: RowSet,
}

/// Fetches a field's column; `None` where no row has a value.
pub(crate) type ColumnOf<'a> = dyn Fn(&str) -> Result<Option<Arc<Column>>> + 'a;

/// The live rows for which `condition` is true.
///
/// # Errors
/// What `column` fails with; [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) once `control` says so.
pub(crate) fn select(condition: &Condition, live: &RowSet, column: &ColumnOf<'_>, control: &Control) -> Result<RowSet> {
    Ok(truth(condition, live, &Watched { column, control }, false)?.yes)
}

/// Columns, as long as nobody says to stop.
struct Watched<'a> {
    column: &'a ColumnOf<'a>,
    control: &'a Control,
}

/// `no` is right only where `with_no` asks for it.
fn truth(condition: &Condition, live: &RowSet, columns: &Watched<'_>, with_no: bool) -> Result<Truth> {
    Ok(match condition {
        Condition::Field { field, test } => match (columns.column)(field)? {
            Some(column) => field_truth(&column, test, live, with_no, columns.control)?,
            None => Truth { yes: RowSet::new(), no: RowSet::new() },
        },
        Condition::IsNull { field, wanted } => {
            let present = (columns.column)(field)?
                .map(|column| column.present_until(columns.control))
                .transpose()?
                .unwrap_or_default()
                .and(live);
            let null = live.and_not(&present);
            if *wanted { Truth { yes: null, no: present } } else { Truth { yes: present, no: null } }
        }
        Condition::Not(inner) => {
            let Truth { yes, no } = truth(inner, live, columns, true)?;
            Truth { yes: no, no: yes }
        }
        Condition::And(parts) => {
            // The neutral element of `and` is true.
            let mut all = Truth { yes: live.clone(), no: RowSet::new() };
            for part in parts {
                let part = truth(part, live, columns, with_no)?;
                all = Truth { yes: all.yes.and(&part.yes), no: all.no.or(&part.no) };
            }
            all
        }
        Condition::Or(parts) => {
            let mut any = Truth { yes: RowSet::new(), no: live.clone() };
            for part in parts {
                let part = truth(part, live, columns, with_no)?;
                any = Truth { yes: any.yes.or(&part.yes), no: any.no.and(&part.no) };
            }
            any
        }
    })
}

/// Where rows stand on one field. `no` costs another pass, and only what a `not` stands before asks for it.
fn field_truth(column: &Column, test: &Test, live: &RowSet, with_no: bool, control: &Control) -> Result<Truth> {
    let yes = column.select_until(|value| passes(test, value), control)?.and(live);
    let no = if with_no { column.present_until(control)?.and(live).and_not(&yes) } else { RowSet::new() };
    Ok(Truth { yes, no })
}

/// Whether a value that is not null passes. Types agree by `condition::check`; a value of another type, which
/// only a widened column could hold, passes nothing.
fn passes(test: &Test, value: ValueRef<'_>) -> bool {
    match (test, value) {
        (Test::Text(op, wanted), ValueRef::Text(text)) => holds(*op, text.cmp(wanted.as_str())),
        (Test::Instant(op, wanted, as_text), ValueRef::Text(text)) => {
            holds(*op, instant::compare(text, wanted.borrow(), as_text))
        }
        (Test::TextIn(texts, instants), ValueRef::Text(text)) => {
            let instant = if instants.is_empty() { None } else { Instant::parse(text) };
            match instant {
                Some(instant) => instants.binary_search_by(|wanted| wanted.borrow().cmp(&instant)).is_ok(),
                None => texts.contains(text),
            }
        }
        (Test::Number(op, wanted), ValueRef::Integer(v)) => holds(*op, Number::Integer(v).compare(*wanted)),
        (Test::Number(op, wanted), ValueRef::Float(v)) => holds(*op, Number::Float(v).compare(*wanted)),
        (Test::NumberIn(wanted), ValueRef::Integer(v)) => contains(wanted, Number::Integer(v)),
        (Test::NumberIn(wanted), ValueRef::Float(v)) => contains(wanted, Number::Float(v)),
        (Test::Bool(equal, wanted), ValueRef::Bool(v)) => (v == *wanted) == *equal,
        (Test::BoolIn(wanted), ValueRef::Bool(v)) => wanted.contains(&v),
        (Test::Has(wanted), ValueRef::TextList(list)) => list.contains(wanted),
        _ => false,
    }
}

fn contains(ascending: &[Number], value: Number) -> bool {
    ascending.binary_search_by(|number| number.compare(value)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::settle::condition;
    use crate::exec::settle::names::Site;
    use crate::exec::settle::params::Params;
    use crate::query::ast::{CompareOp, Expr, Literal};
    use crate::store::{CHUNK_ROWS, ColumnChunk};
    use crate::types::{FieldType, Value};
    use proptest::prelude::*;
    use std::cmp::Ordering;
    use std::collections::BTreeMap;

    type Row = BTreeMap<&'static str, Value>;

    fn fields() -> BTreeMap<String, FieldType> {
        [
            ("tag", FieldType::Text),
            ("year", FieldType::Integer),
            ("size", FieldType::Float),
            ("open", FieldType::Bool),
            ("in_list", FieldType::TextList),
        ]
        .map(|(name, field_type)| (name.to_string(), field_type))
        .into()
    }

    fn column(rows: &[Row], name: &str) -> Option<Arc<Column>> {
        let field_type = fields()[name];
        let chunks: Vec<_> = rows
            .chunks(CHUNK_ROWS as usize)
            .map(|rows| {
                let values: Vec<Option<&Value>> =
                    rows.iter().map(|row| row.get(name).filter(|value| **value != Value::Null)).collect();
                ColumnChunk::build(field_type, &values).map(Arc::new)
            })
            .collect();
        // A field that no row has need not have a column.
        chunks.iter().any(Option::is_some).then(|| Arc::new(Column::new(field_type, rows.len() as u32, chunks)))
    }

    fn run(expr: &Expr, rows: &[Row], live: &RowSet) -> Vec<u32> {
        let condition = condition::check(expr, &fields(), &Params::new(), &Site::new("")).unwrap();
        select(&condition, live, &|name| Ok(column(rows, name)), &Control::new()).unwrap().iter().collect()
    }

    /// SQL's logic one row at a time, on values as the record has them: `None` is unknown.
    fn naive(expr: &Expr, row: &Row) -> Option<bool> {
        let value = |name: &str| row.get(name).filter(|value| **value != Value::Null);
        match expr {
            Expr::Compare { field, op, value: literal } => {
                let ordering = order(value(&field.node)?, &literal.node);
                Some(match op {
                    CompareOp::Eq => ordering == Ordering::Equal,
                    CompareOp::Ne => ordering != Ordering::Equal,
                    CompareOp::Lt => ordering == Ordering::Less,
                    CompareOp::Le => ordering != Ordering::Greater,
                    CompareOp::Gt => ordering == Ordering::Greater,
                    CompareOp::Ge => ordering != Ordering::Less,
                })
            }
            Expr::In { field, values } => {
                let value = value(&field.node)?;
                Some(values.iter().any(|literal| order(value, &literal.node) == Ordering::Equal))
            }
            Expr::Has { field, value: literal } => {
                let (Value::TextList(items), Literal::Text(wanted)) = (value(&field.node)?, &literal.node) else {
                    panic!("typed");
                };
                Some(items.contains(wanted))
            }
            Expr::IsNull { field, negated } => Some(value(&field.node).is_none() != *negated),
            Expr::Not(inner) => naive(inner, row).map(|known| !known),
            Expr::And(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| naive(part, row)).collect();
                if parts.contains(&Some(false)) {
                    Some(false)
                } else {
                    parts.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
                }
            }
            Expr::Or(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| naive(part, row)).collect();
                if parts.contains(&Some(true)) {
                    Some(true)
                } else {
                    parts.into_iter().collect::<Option<Vec<_>>>().map(|_| false)
                }
            }
        }
    }

    fn order(value: &Value, literal: &Literal) -> Ordering {
        match (value, literal) {
            (Value::Text(a), Literal::Text(b)) => match (place_in_time(a), place_in_time(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a.as_bytes().cmp(b.as_bytes()),
            },
            (Value::Bool(a), Literal::Bool(b)) => a.cmp(b),
            (Value::Integer(a), Literal::Integer(b)) => i128::from(*a).cmp(&i128::from(*b)),
            // The generated numbers are small halves, exact as floats; the large ones have their own test.
            (Value::Integer(a), Literal::Float(b)) => (*a as f64).partial_cmp(b).unwrap(),
            (Value::Float(a), Literal::Integer(b)) => a.partial_cmp(&(*b as f64)).unwrap(),
            (Value::Float(a), Literal::Float(b)) => a.partial_cmp(b).unwrap(),
            other => panic!("not typed: {other:?}"),
        }
    }

    /// Some spellings of dates and times, with where they lie: told from each other by hand, not by a parser.
    const TIMES: [(&str, u32); 9] = [
        ("2024-01-01", 1),
        ("2024-01-01T00:00:00Z", 1),
        ("2023-12-31t19:00:00.000-05:00", 1),
        ("2024-01-01T12:00:00Z", 3),
        ("2024-01-01T20:00:00+09:00", 2),
        ("2024-01-01T12:00:00.500z", 4),
        ("2024-01-01T12:00:00.50-00:00", 4),
        ("2023-12-31T23:59:60Z", 0),
        ("2024-01-02T09:00:00.000000000001+09:00", 5),
    ];

    fn place_in_time(text: &str) -> Option<u32> {
        TIMES.iter().find(|(spelled, _)| *spelled == text).map(|(_, place)| *place)
    }

    fn op() -> impl Strategy<Value = CompareOp> {
        prop::sample::select(vec![
            CompareOp::Eq,
            CompareOp::Ne,
            CompareOp::Lt,
            CompareOp::Le,
            CompareOp::Gt,
            CompareOp::Ge,
        ])
    }

    fn word() -> impl Strategy<Value = String> {
        // Texts that only look like times compare as text, also with times.
        let others = vec!["", "a", "b", "ab", "ä", "2024-01-01T12:00:00", "2024-02-30", "2024-01-01 12:00:00Z"];
        let times = TIMES.iter().map(|(spelled, _)| *spelled).collect::<Vec<_>>();
        prop_oneof![prop::sample::select(others), prop::sample::select(times)].prop_map(str::to_string)
    }

    fn number() -> impl Strategy<Value = Literal> {
        prop_oneof![(-2i64..3).prop_map(Literal::Integer), (-4i32..6).prop_map(|v| Literal::Float(f64::from(v) / 2.0))]
    }

    fn leaf() -> impl Strategy<Value = Expr> {
        let name = |name: &str| name.to_string().into();
        let numeric = || prop::sample::select(vec!["year", "size"]);
        prop_oneof![
            (op(), word()).prop_map(move |(op, text)| Expr::Compare {
                field: name("tag"),
                op,
                value: Literal::Text(text).into()
            }),
            (numeric(), op(), number()).prop_map(move |(field, op, value)| Expr::Compare {
                field: name(field),
                op,
                value: value.into()
            }),
            (any::<bool>(), any::<bool>()).prop_map(move |(equal, value)| Expr::Compare {
                field: name("open"),
                op: if equal { CompareOp::Eq } else { CompareOp::Ne },
                value: Literal::Bool(value).into()
            }),
            word().prop_map(move |text| Expr::Has { field: name("in_list"), value: Literal::Text(text).into() }),
            prop::collection::vec(word(), 0..3).prop_map(move |texts| Expr::In {
                field: name("tag"),
                values: texts.into_iter().map(|text| Literal::Text(text).into()).collect()
            }),
            (numeric(), prop::collection::vec(number(), 0..4)).prop_map(move |(field, values)| Expr::In {
                field: name(field),
                values: values.into_iter().map(Into::into).collect()
            }),
            (prop::sample::select(vec!["tag", "year", "size", "open", "in_list"]), any::<bool>())
                .prop_map(move |(field, negated)| Expr::IsNull { field: name(field), negated }),
        ]
    }

    fn expr() -> impl Strategy<Value = Expr> {
        leaf().prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
                prop::collection::vec(inner, 2..4).prop_map(Expr::Or),
            ]
        })
    }

    fn maybe(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
        prop_oneof![Just(None), Just(Some(Value::Null)), value.prop_map(Some)].boxed()
    }

    fn row() -> impl Strategy<Value = Row> {
        (
            maybe(word().prop_map(Value::Text)),
            maybe((-2i64..3).prop_map(Value::Integer)),
            maybe((-4i32..6).prop_map(|v| Value::Float(f64::from(v) / 2.0))),
            maybe(any::<bool>().prop_map(Value::Bool)),
            maybe(prop::collection::vec(word(), 0..3).prop_map(Value::TextList)),
        )
            .prop_map(|(tag, year, size, open, list)| {
                [("tag", tag), ("year", year), ("size", size), ("open", open), ("in_list", list)]
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
                    .collect()
            })
    }

    proptest! {
        #[test]
        fn agrees_with_sql_one_row_at_a_time(
            expr in expr(),
            rows in prop::collection::vec((row(), any::<bool>()), 0..12),
        ) {
            let live = RowSet::from_rows((0u32..).zip(&rows).filter(|(_, (_, live))| *live).map(|(row, _)| row));
            let rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
            let expected: Vec<u32> =
                live.iter().filter(|row| naive(&expr, &rows[*row as usize]) == Some(true)).collect();
            prop_assert_eq!(run(&expr, &rows, &live), expected);
        }
    }

    #[test]
    fn times_compare_as_instants() {
        let texts = ["2024-01-01T12:00:00.500Z", "2024-01-01T20:00:00+09:00", "2024-01-01", "noon", "2024-01-02"];
        let mut rows: Vec<Row> = texts.iter().map(|text| [("tag", Value::from(*text))].into()).collect();
        rows.push(Row::new());
        let live = RowSet::from_range(0..6);
        let compare = |op, text: &str| {
            let expr =
                Expr::Compare { field: "tag".to_string().into(), op, value: Literal::Text(text.to_string()).into() };
            run(&expr, &rows, &live)
        };
        // "noon" is no time: as text it is greater.
        assert_eq!(compare(CompareOp::Gt, "2024-01-01T12:00:00Z"), [0, 3, 4]);
        assert_eq!(compare(CompareOp::Lt, "2024-01-01T12:00:00Z"), [1, 2]);
        assert_eq!(compare(CompareOp::Eq, "2024-01-01T00:00:00-00:00"), [2]);
        assert_eq!(compare(CompareOp::Ne, "2024-01-01T11:00:00Z"), [0, 2, 3, 4]);
        assert_eq!(compare(CompareOp::Ge, "2024"), [0, 1, 2, 3, 4]);
        let within = |texts: &[&str]| {
            let values = texts.iter().map(|text| Literal::Text(text.to_string()).into()).collect();
            run(&Expr::In { field: "tag".to_string().into(), values }, &rows, &live)
        };
        assert_eq!(within(&["2024-01-01T11:00:00Z", "noon", "2024-01-02T00:00:00.0Z"]), [1, 3, 4]);
        assert_eq!(within(&["2024-01-01T11:00:00"]), [0; 0]);
    }

    #[test]
    fn unknown_is_neither_true_nor_false() {
        let rows: Vec<Row> = vec![
            [("tag", Value::from("x"))].into(),
            [("tag", Value::from("y"))].into(),
            Row::new(),
            [("tag", Value::Null)].into(),
        ];
        let live = RowSet::from_range(0..4);
        let differs = Expr::Compare {
            field: "tag".to_string().into(),
            op: CompareOp::Ne,
            value: Literal::Text("x".into()).into(),
        };
        assert_eq!(run(&differs, &rows, &live), [1]);
        assert_eq!(run(&Expr::Not(Box::new(differs)), &rows, &live), [0]);
        let null = Expr::IsNull { field: "tag".to_string().into(), negated: false };
        assert_eq!(run(&null, &rows, &live), [2, 3]);
        assert_eq!(run(&Expr::Not(Box::new(null)), &rows, &live), [0, 1]);
        let never_set = Expr::IsNull { field: "year".to_string().into(), negated: false };
        assert_eq!(run(&never_set, &rows, &live), [0, 1, 2, 3]);
    }

    #[test]
    fn whole_numbers_are_compared_without_rounding() {
        let big = 9_007_199_254_740_993_i64; // 2^53 + 1, which no float is.
        let cases = [
            (Number::Integer(big), Number::Float(9_007_199_254_740_992.0), Ordering::Greater),
            (Number::Float(9_007_199_254_740_994.0), Number::Integer(big), Ordering::Greater),
            (Number::Integer(i64::MAX), Number::Float(9_223_372_036_854_775_808.0), Ordering::Less),
            (Number::Integer(i64::MIN), Number::Float(-9_223_372_036_854_775_808.0), Ordering::Equal),
            (Number::Integer(i64::MIN), Number::Float(-1e300), Ordering::Greater),
            (Number::Integer(-2), Number::Float(-2.5), Ordering::Greater),
            (Number::Integer(-3), Number::Float(-2.5), Ordering::Less),
            (Number::Integer(2), Number::Float(2.5), Ordering::Less),
            (Number::Integer(0), Number::Float(-0.0), Ordering::Equal),
            (Number::Integer(big), Number::Integer(big - 1), Ordering::Greater),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.compare(b), expected, "{a:?} {b:?}");
            assert_eq!(b.compare(a), expected.reverse(), "{b:?} {a:?}");
        }
    }

    #[test]
    fn dates_as_text_compare_as_dates() {
        let rows: Vec<Row> =
            ["2024-02-29", "2023-12-31", "2024-10-01"].map(|date| [("tag", Value::from(date))].into()).into();
        let since = Expr::Compare {
            field: "tag".to_string().into(),
            op: CompareOp::Ge,
            value: Literal::Text("2024-01-01".into()).into(),
        };
        assert_eq!(run(&since, &rows, &RowSet::from_range(0..3)), [0, 2]);
    }
}
