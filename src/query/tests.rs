//! The language as a whole: canonical texts, round trips over arbitrary trees, limits, and arbitrary input.

mod bad_errors;

use super::*;

/// Statements in canonical form: they print as they stand.
const CANONICAL: &[&str] = &[
    r#"find "What did I do with my keys?" in notes"#,
    r#"find "keys" in notes | view raw | center corpus | truncate 64 | normalize | score dot | top 5"#,
    r#"find $q in notes | view rewritten | center corpus | normalize | score dot | where year >= 1900 and tag != "draft" | top 10"#,
    r#"find $q in notes | project asks -> answers | score cosine | top 10"#,
    r#"find $q in notes | using answering | score probability | above 0.5"#,
    r#"find #king - #man + #woman in words | normalize | score cosine"#,
    r#"find -#man + 2 * "woman" - 0.5 * $q + [1, -2.5, 1e-9] in words"#,
    r##"find #"C++ notes" in notes | including self | exact"##,
    r#"find #a-b.c:d in notes@v2 | blend 0.7 * topic - 0.3 * nationality | within 1.5 | skip 20 | top 1000000"#,
    r#"find "x" in notes | center sides from asked | standardize | whiten | whiten 12 | drop 3 | project M | score cosine csls 10 from asked"#,
    r#"find "x" in notes | where not (a = 1 or b = 2) and (c is null or d is not null) and e has "x" and f in (1, 2.0, -3, true, $p)"#,
    r#"find "x" in notes | where (a = 1 and b = 1) and c = 1 or (d = 1 or e = 1)"#,
    r#"find "x" in notes | where `my field` = "a\n\"b\"" and score > 0.5 and `not` = false"#,
    r#"pairs in notes | using topic | above 0.9 | top 100"#,
    r#"explain find "x" in notes"#,
    r#"explain analyze find "x" in notes"#,
    r#"compare plain, nationality: find #newton in people | top 5"#,
    r#"why #n08: find "What did I do with my keys?" in notes | using answering"#,
    r#"let answering = view rewritten | center corpus | project asks -> answers | score cosine"#,
    r#"drop answering"#,
    r#"show lenses"#,
    r#"show undirected"#,
];

#[test]
fn a_blend_goes_with_no_stage_of_a_lens() {
    for stage in ["center", "score dot"] {
        let error = parse(&format!("find #a in c | {stage} | blend 0.5 * b")).unwrap_err();
        let word = stage.split(' ').next().unwrap();
        assert_eq!(error.message, format!("`blend` after `{word}`: the blend is the lens"));
        assert_eq!(error.corrected, None);
    }
    let error = parse("find #a in c | top 5 | blend 0.5 * b").unwrap_err();
    assert_eq!(error.corrected.as_deref(), Some("find #a in c | blend 0.5 * b | top 5"));
}

#[test]
fn canonical_statements_print_as_they_stand() {
    for text in CANONICAL {
        let statement = parse(text).unwrap_or_else(|error| panic!("{text}\n{error:?}"));
        assert_eq!(print(&statement), *text);
    }
}

/// What is typed, and the canonical text of what it means.
const SAME: &[(&str, &str)] = &[
    ("FIND 'x' IN notes", r#"find "x" in notes"#),
    ("find \"x\"\n  in notes -- where\n  | top 5 -- few\n", r#"find "x" in notes | top 5"#),
    ("find 'it\\'s \"so\" \\u{48}\\t' in notes", r#"find "it's \"so\" H\t" in notes"#),
    ("find 1*#a+2*#b -.5e1*#c in w", "find #a + 2 * #b - 5 * #c in w"),
    ("find - #a - -2 * #b in w", "find -#a + 2 * #b in w"),
    ("find -0 * #a + 0 * #b in w", "find -0 * #a + 0 * #b in w"),
    ("find #\"a\" in `notes`", "find #a in notes"),
    ("find #a.b-c:d in notes", "find #a.b-c:d in notes"),
    (
        "find \"x\" in notes|center|center corpus|exact|top 5|including self",
        r#"find "x" in notes | center | center corpus | top 5 | including self | exact"#,
    ),
    ("find \"x\" in corpus | view self", r#"find "x" in corpus | view self"#),
    ("find \"x\" in n | blend 1 * a + -2 * b - -3 * c", r#"find "x" in n | blend 1 * a - 2 * b + 3 * c"#),
    ("find \"x\" in n | blend -0.5 * a", r#"find "x" in n | blend -0.5 * a"#),
    ("find \"x\" in n | project a->b", r#"find "x" in n | project a -> b"#),
    ("find \"x\" in n | project a-b", r#"find "x" in n | project a-b"#),
    ("find \"x\" in n | where a=1 AND b=2 OR NOT c=3", r#"find "x" in n | where a = 1 and b = 2 or not c = 3"#),
    ("find \"x\" in n | where ((a=1))", r#"find "x" in n | where a = 1"#),
    ("find \"x\" in n | where a.b-c = -9223372036854775808", r#"find "x" in n | where a.b-c = -9223372036854775808"#),
    ("find \"x\" in n | where a = 5. or a = 1E3", r#"find "x" in n | where a = 5.0 or a = 1000.0"#),
    ("find \"x\" in n | where größe > 3 and 名前 = 'a'", r#"find "x" in n | where größe > 3 and 名前 = "a""#),
    ("find \"x\" in n | where `größe in m` > 3", r#"find "x" in n | where `größe in m` > 3"#),
    ("find \"\u{1b}\u{202e}\" in n", r#"find "\u{1b}\u{202e}" in n"#),
];

#[test]
fn other_forms_mean_the_same() {
    for (typed, canonical) in SAME {
        let statement = parse(typed).unwrap_or_else(|error| panic!("{typed}\n{error:?}"));
        assert_eq!(print(&statement), *canonical, "{typed}");
    }
}

#[test]
fn spans_point_into_the_statement() {
    let text = "find '鍵' + 2 * #b in `n n` | view v | center sides from s | score dot csls 3 from s | where a in (1, -2) | above -1.5 | top 7";
    let ast::Statement::Find(find) = parse(text).unwrap() else { panic!("a search") };
    let at = |span: &std::ops::Range<usize>| &text[span.clone()];
    assert_eq!(at(&find.source.span), "'鍵' + 2 * #b");
    assert_eq!(at(&find.source.node.terms[1].operand.span), "#b");
    assert_eq!(at(&find.collection.span), "`n n`");
    let ast::LensBase::View(view) = &find.lens.base else { panic!("a view") };
    assert_eq!(at(&view.span), "v");
    assert_eq!(at(&find.lens.steps[0].span), "center sides from s");
    assert_eq!(at(&find.lens.metric.unwrap().span), "dot");
    assert_eq!(at(&find.lens.csls.unwrap().span), "csls 3 from s");
    let Some(ast::Expr::In { field, values }) = find.output.filter else { panic!("a list") };
    assert_eq!((at(&field.span), at(&values[1].span)), ("a", "-2"));
    assert_eq!(at(&find.output.bound.unwrap().span), "above -1.5");
    assert_eq!(at(&find.output.top.unwrap().span), "7");
}

#[test]
fn names_and_ids() {
    for name in ["notes", "a-b.c@2", "_x", "größe", "corpus", "self", "raw", "X1"] {
        assert!(check_name(name).is_ok() && is_bare_name(name), "{name}");
        assert_eq!(print_name(name), name);
    }
    for name in ["", "top", "Where", "cosine", "1a", "a-", "a.", "-a", "a b", "a/b", "a\n", &"x".repeat(129)] {
        assert!(check_name(name).is_err(), "{name}");
    }
    for id in ["a", "7", "_", "a-b", "a.b:c", "n08", "2020-01-01"] {
        assert!(is_bare_id(id), "{id}");
        assert_eq!(print_id(id), format!("#{id}"));
    }
    for id in ["", "a-", "-a", "a.", "a:", "a b", "ä", "c++", "a/b", "a\"b"] {
        assert!(!is_bare_id(id), "{id}");
        assert!(print_id(id).starts_with("#\""), "{id}");
    }
    assert!(check_id("a").is_ok() && check_id("").is_err() && check_id(&"a".repeat(513)).is_err());
    assert_eq!(print_field("top"), "top");
    assert_eq!(print_field("not"), "`not`");
    assert_eq!(quote_text("a\"\\\n\u{7}"), r#""a\"\\\n\u{7}""#);
}

#[test]
fn numbers_as_they_come_back() {
    for (value, text) in [
        (1.0, "1"),
        (-0.0, "-0"),
        (0.5, "0.5"),
        (1e300, "1e300"),
        (5e-324, "5e-324"),
        (0.1 + 0.2, "0.30000000000000004"),
    ] {
        assert_eq!(print_number(value), text);
    }
}

/// The shortest time in which `run` was done, of a few: what else the machine does only adds to it. Never less than
/// what a clock and a scheduler blur.
fn least_time(mut run: impl FnMut()) -> f64 {
    let mut time = || {
        let start = std::time::Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..4).map(|_| time()).fold(f64::INFINITY, f64::min).max(2e-4)
}

fn nested(depth: usize) -> String {
    format!("find \"x\" in n | where {}a = 1{}", "(".repeat(depth), ")".repeat(depth))
}

#[test]
fn nesting_is_linear_and_bounded() {
    let spent = |depth: usize| {
        least_time(|| {
            for _ in 0..20 {
                parse(&nested(depth)).unwrap();
            }
        })
    };
    // Eight times as deep; what is exponential in the depth would not end at all.
    let (shallow, deep) = (spent(8), spent(64));
    assert!(deep < 40.0 * shallow, "{deep} s with 64 parentheses, {shallow} s with 8");
    for text in [nested(65), format!("find \"x\" in n | where {}a = 1", "not ".repeat(65)), nested(20_000)] {
        assert_eq!(parse(&text).unwrap_err().code, "limit::nesting");
    }
    assert!(parse(&format!("find \"x\" in n | where {}a = 1", "not ".repeat(64))).is_ok());
    // Parentheses beside each other do not nest.
    let wide = vec!["(a = 1)"; 3000].join(" or ");
    assert!(parse(&format!("find \"x\" in n | where {wide}")).is_ok());
}

#[test]
fn length_and_lists_are_bounded() {
    let list = |count: usize| format!("find \"x\" in n | where a in ({})", vec!["1"; count].join(","));
    assert!(parse(&list(10_000)).is_ok());
    assert_eq!(parse(&list(10_001)).unwrap_err().code, "limit::list");
    let vector = |count: usize| format!("find [{}] in n", vec!["1"; count].join(","));
    assert!(parse(&vector(10_000)).is_ok());
    assert_eq!(parse(&vector(10_001)).unwrap_err().code, "limit::list");
    let text = |bytes: usize| format!("find \"{}\" in n", "é".repeat((bytes - 12) / 2));
    assert!(parse(&text(64 << 10)).is_ok());
    let error = parse(&text((64 << 10) + 2)).unwrap_err();
    assert_eq!(error.code, "limit::statement");
    bad_errors::check_error("a long statement", &error);
    assert!(error.text.len() <= 80);
}

#[test]
fn long_mistakes_are_answered_soon() {
    for piece in [
        "find ",
        "(",
        "a = ",
        "\"",
        "\\",
        "| top ",
        "#a-",
        "and ",
        "1.",
        "“",
        "[1 ",
        "`",
        "in ",
        "--\n",
        "𝄞",
        "| wher a == ",
    ] {
        for before in ["", "find \"x\" in n | where a in (1, ", "find "] {
            let text = |bytes: usize| format!("{before}{}", piece.repeat(bytes / piece.len()));
            if let Err(error) = parse(&text(60 << 10)) {
                bad_errors::check_error(piece, &error);
            }
            let spent = |bytes: usize| {
                let text = text(bytes);
                least_time(|| drop(parse(&text)))
            };
            // Four times as long: more than the square of it, with room for a busy machine, is what trying every repair
            // at every place costs.
            let (short, long) = (spent(60 << 8), spent(60 << 10));
            assert!(long < 64.0 * short, "{long} s for 60 KiB of {piece:?}, {short} s for a quarter of it");
        }
    }
}

mod properties {
    use super::super::ast::*;
    use super::super::*;
    use super::bad_errors::check_error;
    use crate::types::{Metric, ProjectionRef, Step};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    /// Names of every sort: plain, keywords, odd characters.
    fn name() -> impl Strategy<Value = Name> {
        let keyword = proptest::sample::select(super::super::name::KEYWORDS.to_vec()).prop_map(str::to_string);
        prop_oneof![4 => "[a-zA-Z_][a-zA-Z0-9_.@-]{0,6}", 1 => keyword, 1 => text()].prop_map(Name::from)
    }

    /// Texts of every sort, control characters and quotes among them.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![2 => "[a-z ]{0,8}", 1 => "[\"'`\\\\#$|\n\r\t\0\u{1b}\u{202e}é鍵𝄞-]{0,6}", 1 => any::<String>()]
    }

    fn number() -> impl Strategy<Value = f64> {
        let edges = [0.0, -0.0, 1.0, -1.0, 0.5, 1e16, 1e-7, f64::MAX, f64::MIN_POSITIVE, 5e-324];
        prop_oneof![proptest::sample::select(edges.to_vec()), any::<f64>().prop_filter("finite", |v| v.is_finite())]
    }

    fn param() -> impl Strategy<Value = String> {
        "[a-zA-Z_][a-zA-Z0-9_]{0,6}"
    }

    fn operand() -> impl Strategy<Value = Operand> {
        prop_oneof![
            text().prop_map(Operand::Text),
            prop_oneof!["[a-zA-Z0-9_.:-]{1,6}", text()].prop_map(Operand::Id),
            vec(number(), 1..4).prop_map(Operand::Vector),
            param().prop_map(Operand::Param),
        ]
    }

    fn source() -> impl Strategy<Value = Spanned<Source>> {
        let weight = prop_oneof![Just(1.0), Just(-1.0), number()];
        let term = (weight, operand()).prop_map(|(weight, operand)| Term { weight, operand: operand.into() });
        vec(term, 1..4).prop_map(|terms| Source { terms }.into())
    }

    fn step() -> impl Strategy<Value = Step> {
        let name = || name().prop_map(|name| name.node);
        prop_oneof![
            Just(Step::Center),
            Just(Step::CenterCorpus),
            name().prop_map(Step::CenterSides),
            Just(Step::Normalize),
            Just(Step::Standardize),
            option::of(1..=65_536u32).prop_map(Step::Whiten),
            (0..=65_536u32).prop_map(Step::Drop),
            (1..=65_536u32).prop_map(Step::Truncate),
            name().prop_map(|name| Step::Project(ProjectionRef::One(name))),
            (name(), name()).prop_map(|(a, b)| Step::Project(ProjectionRef::Pair(a, b))),
        ]
    }

    fn lens() -> impl Strategy<Value = LensExpr> {
        let base = prop_oneof![
            Just(LensBase::Default),
            name().prop_map(LensBase::View),
            name().prop_map(LensBase::Using),
            vec((number(), name()), 1..4).prop_map(LensBase::Blend),
        ];
        let metric = proptest::sample::select(super::super::name::METRICS.to_vec());
        let csls = (1..=u32::MAX, name()).prop_map(|(k, name)| (k, name.node));
        let score = option::of((metric, option::of(csls)));
        (base, vec(step(), 0..4), score).prop_map(|(base, steps, score)| {
            let (metric, csls): (Option<Metric>, _) = score.map_or((None, None), |(metric, csls)| (Some(metric), csls));
            LensExpr {
                base,
                steps: steps.into_iter().map(Spanned::from).collect(),
                metric: metric.map(Spanned::from),
                csls: csls.map(Spanned::from),
            }
        })
    }

    fn literal() -> impl Strategy<Value = Literal> {
        prop_oneof![
            text().prop_map(Literal::Text),
            any::<i64>().prop_map(Literal::Integer),
            number().prop_map(Literal::Float),
            any::<bool>().prop_map(Literal::Bool),
            param().prop_map(Literal::Param),
        ]
    }

    fn condition() -> impl Strategy<Value = Expr> {
        use CompareOp::{Eq, Ge, Gt, Le, Lt, Ne};
        let op = proptest::sample::select(vec![Eq, Ne, Lt, Le, Gt, Ge]);
        let value = || literal().prop_map(Spanned::from);
        let leaf = prop_oneof![
            (name(), op, value()).prop_map(|(field, op, value)| Expr::Compare { field, op, value }),
            (name(), vec(value(), 1..4)).prop_map(|(field, values)| Expr::In { field, values }),
            (name(), value()).prop_map(|(field, value)| Expr::Has { field, value }),
            (name(), any::<bool>()).prop_map(|(field, negated)| Expr::IsNull { field, negated }),
        ];
        leaf.prop_recursive(5, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
                vec(inner.clone(), 2..4).prop_map(Expr::And),
                vec(inner, 2..4).prop_map(Expr::Or),
            ]
        })
    }

    fn output() -> impl Strategy<Value = Output> {
        let bound = prop_oneof![number().prop_map(Bound::Above), number().prop_map(Bound::Within)];
        let counts = (option::of(any::<u64>()), option::of(1..=1_000_000u64));
        (option::of(condition()), option::of(bound), counts, any::<bool>(), any::<bool>()).prop_map(
            |(filter, bound, (skip, top), including_self, exact)| Output {
                filter,
                bound: bound.map(Spanned::from),
                skip: skip.map(Spanned::from),
                top: top.map(Spanned::from),
                including_self,
                exact,
            },
        )
    }

    fn find() -> impl Strategy<Value = Find> {
        (source(), name(), lens(), output()).prop_map(|(source, collection, lens, output)| Find {
            source,
            collection,
            lens,
            output,
        })
    }

    fn statement() -> impl Strategy<Value = Statement> {
        let shows = Show::ALL.to_vec();
        let id = text().prop_map(Spanned::from);
        let named = lens().prop_filter("a lens of a `let` has a stage", |lens| *lens != LensExpr::default());
        prop_oneof![
            4 => find().prop_map(Statement::Find),
            1 => (name(), lens(), output())
                .prop_map(|(collection, lens, output)| Statement::Pairs(Pairs { collection, lens, output })),
            1 => (any::<bool>(), find()).prop_map(|(analyze, find)| Statement::Explain { analyze, find }),
            1 => (vec(name(), 2..4), find()).prop_map(|(lenses, find)| Statement::Compare { lenses, find }),
            1 => (id, find()).prop_map(|(id, find)| Statement::Why { id, find }),
            1 => (name(), named).prop_map(|(name, lens)| Statement::Let { name, lens }),
            1 => name().prop_map(|name| Statement::Drop { name }),
            1 => proptest::sample::select(shows).prop_map(|what| Statement::Show(what.into())),
        ]
    }

    /// The tree as text without places; unlike `==` it tells 0.0 from -0.0.
    fn shape(tree: &impl std::fmt::Debug) -> String {
        let debug = format!("{tree:?}");
        let mut pieces = debug.split(", span: ");
        let first = pieces.next().unwrap_or_default().to_string();
        pieces.fold(first, |out, piece| out + piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.'))
    }

    /// Words and punctuation of the language in any order, whole and in pieces.
    fn soup() -> impl Strategy<Value = String> {
        let words = "find|in|notes|\"keys\"|'a b'|#id|#\"o d\"|$q|[1, 2]|2|-1.5|*|+|-|->|view|using|blend|center|corpus|sides|from|normalize|truncate|project|score|cosine|csls|where|year|=|!=|<|<=|>|>=|==|&&|has|is|not|null|and|or|(|)|,|:|above|within|skip|top|5|including|self|exact|pairs|explain|analyze|compare|why|let|drop|show|lenses|--|\"|`|`a b`|#|\\|;|“|é|scor|limit|\n|==|true|2020-01-01|64d";
        let mut words: Vec<&str> = words.split('|').collect();
        words.extend(["|"; 8]);
        let word = proptest::sample::select(words);
        let gap = proptest::sample::select(vec![" ", " ", " ", ""]);
        let loose = vec((word, gap), 0..24)
            .prop_map(|words| words.into_iter().map(|(word, gap)| format!("{word}{gap}")).collect::<String>());
        prop_oneof![
            2 => loose.clone(),
            2 => loose.prop_map(|tail| format!("find \"x\" in n | {tail}")),
        ]
    }

    /// A statement of [`super::CANONICAL`] with a few characters changed.
    fn mutated() -> impl Strategy<Value = String> {
        let change = (any::<proptest::sample::Index>(), 0..3u8, any::<proptest::sample::Index>());
        (proptest::sample::select(super::CANONICAL.to_vec()), vec(change, 1..4)).prop_map(|(text, changes)| {
            let mut chars: Vec<char> = text.chars().collect();
            for (at, how, from) in changes {
                let at = at.index(chars.len());
                let other = chars[from.index(chars.len())];
                match how {
                    0 if chars.len() > 1 => drop(chars.remove(at)),
                    1 => chars.insert(at, other),
                    _ => chars[at] = other,
                }
            }
            chars.into_iter().collect()
        })
    }

    /// What holds for every text.
    fn answers(text: &str) {
        match parse(text) {
            Ok(tree) => {
                let printed = print(&tree);
                let again = parse(&printed).unwrap_or_else(|error| panic!("{text:?}: {printed}: {error:?}"));
                assert_eq!(shape(&again), shape(&tree));
                assert_eq!(print(&again), printed);
            }
            Err(error) => {
                check_error(text, &error);
                if let Some(corrected) = &error.corrected {
                    assert!(parse(corrected).is_ok(), "{text:?}: {corrected:?}");
                }
            }
        }
        if let Err(error) = parse_expr(text) {
            check_error(text, &error);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

        #[test]
        fn trees_come_back(tree in statement()) {
            let text = print(&tree);
            prop_assert!(!text.contains(char::is_control), "{:?}", text);
            let again = match parse(&text) {
                Ok(again) => again,
                Err(error) => return Err(TestCaseError::fail(format!("{text}: {error:?}"))),
            };
            prop_assert_eq!(&again, &tree);
            prop_assert_eq!(shape(&again), shape(&tree));
            prop_assert_eq!(print(&again), text);
        }

        #[test]
        fn conditions_come_back(tree in condition()) {
            let text = print_expr(&tree);
            let again = parse_expr(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error:?}")))?;
            prop_assert_eq!(shape(&again), shape(&tree));
        }

        #[test]
        fn any_order_of_words_is_answered(text in soup()) {
            answers(&text);
        }

        #[test]
        fn slightly_wrong_statements_are_answered(text in mutated()) {
            answers(&text);
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            answers(&text);
        }

        #[test]
        fn printed_names_are_one_word(text in text()) {
            let statement = format!("why {}: find #a in {}", print_id(&text), print_name(&text));
            prop_assert!(parse(&statement).is_ok(), "{}", statement);
        }
    }
}
