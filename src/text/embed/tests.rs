//! The bundled model from outside: its tokens against the `tokenizers` crate, its thresholds, its bookkeeping.

use std::path::PathBuf;

use proptest::prelude::*;
use tokenizers::pipeline::{EncodeOptions, PipelineTokenizer};

use super::*;

fn model() -> StaticEmbedder<'static> {
    StaticEmbedder::decode(BUNDLED_TABLE).unwrap()
}

#[test]
fn the_bundled_model_has_the_name_that_builds_without_it_know() {
    assert_eq!(bundled().name(), BUNDLED_NAME);
    assert_eq!(in_words(bundled().name()), "the bundled English model");
}

/// The reference: BERT's normalizer, pre-tokenizer and WordPiece of the `tokenizers` crate over our vocabulary.
fn reference(vocabulary: &Vocabulary<'_>) -> PipelineTokenizer {
    let ids: serde_json::Map<String, serde_json::Value> =
        (0..vocabulary.len() as u32).map(|id| (vocabulary.token(id).unwrap().to_string(), id.into())).collect();
    let config = serde_json::json!({
        "version": "2.0",
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids,
        },
    });
    tokenizers::from_json(&config.to_string()).unwrap()
}

fn reference_ids(reference: &PipelineTokenizer, text: &str) -> Vec<u32> {
    let encodings = reference.encode(text, &EncodeOptions::default()).wait().unwrap();
    encodings.iter().flat_map(|encoding| encoding.ids()).map(|token| token.id()).collect()
}

/// Texts that are cut differently by nearly every shortcut one could take.
const NASTY: &[&str] = &[
    "",
    " ",
    "\0",
    "\u{fffd}",
    "a\0b\u{1}c\u{7f}d\u{85}e\u{9f}f",
    "tab\tnew\nline\rreturn\u{b}vertical\u{c}feed",
    "no\u{a0}break \u{2009}thin\u{3000}wide\u{2028}line\u{2029}paragraph",
    "zero\u{200b}width \u{200d}joiner \u{feff}mark soft\u{ad}hyphen \u{202e}override",
    "Crème brûlée, naïve façade, Ångström, Čapek, Đorđe, Łódź, Ørsted, ßtraße, Æsir, œuvre",
    "e\u{301}\u{327} o\u{308}\u{304} combining\u{334}overlay enclosing\u{20dd}circle",
    "İSTANBUL ıstanbul ŞİŞLİ ǅungla ŉ ﬁne ﬂow ﬃ Ⅷ ℌ K Å",
    "日本語のテキスト 漢字仮名交じり文 한국어 텍스트 ภาษาไทย हिन्दी देवनागरी தமிழ் العربية עברית",
    "𠀀𪜀𫝀𫠠丽 ㍿ ㎏ ﹏ ｆｕｌｌ　ｗｉｄｔｈ！ ｶﾀｶﾅ",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ☃ ♥ 🇩🇪 ∑∞≠ ←↑ ½ № ™ €£¥₿ ° § ¶ † ‡ • … – — ‘’ “” ‹› «» ¡¿",
    "a+b=c <tag> $HOME ^x^ `cmd` ~user |pipe| x_y @name #tag 50% R&D C:\\path\\file",
    "[CLS] [SEP] [MASK] [PAD] [UNK] ##ing ## [unused1]",
    "I.B.M. e.g. U.S.A. 3.14159 1,234,567 10:30pm 2026-11-23T16:42:07Z 192.168.0.1 v1.0.0-rc.3",
    "supercalifragilisticexpialidocious antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "don't can't y'all o'clock rock'n'roll mother-in-law state-of-the-art",
    "\u{1f600}\u{300}\u{301} \u{300}leading mark \u{e000}private\u{f8ff} \u{10ffff}",
    "ΑΒΓ Σίσυφος ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ Привет ЁЖ Ї",
    "\u{1e9e} \u{130} \u{1c4} \u{1f88} \u{fb03} \u{149}",
    "؟ ، ؛ ۔ । ॥ 。、「」『』・〜 ᠀ ⸮ ⁂ ﴾﴿ ᚛᚜ 𐄀 𑁇 𒑰",
];

#[test]
fn tokens_agree_with_the_tokenizers_crate_on_nasty_texts() {
    let model = model();
    let vocabulary = &model.table().vocabulary;
    let reference = reference(vocabulary);
    let long: Vec<String> = [99, 100, 101, 1000]
        .iter()
        .flat_map(|&n| ["a", "ä", "é", "e\u{301}", "漢", "x-", "ﬃ", "\u{1f600}"].map(|unit| unit.repeat(n)))
        .collect();
    for text in NASTY.iter().copied().chain(long.iter().map(String::as_str)) {
        assert_eq!(vocabulary.encode(text), reference_ids(&reference, text), "{text:?}");
    }
}

/// Each character between two letters: a difference in any of its classes shows.
#[test]
fn tokens_agree_with_the_tokenizers_crate_on_every_character() {
    let model = model();
    let vocabulary = &model.table().vocabulary;
    let reference = reference(vocabulary);
    let all: Vec<char> = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
    for block in all.chunks(64) {
        let text: String = block.iter().map(|c| format!("a{c}b ")).collect();
        if vocabulary.encode(&text) != reference_ids(&reference, &text) {
            for c in block {
                let text = format!("a{c}b");
                assert_eq!(vocabulary.encode(&text), reference_ids(&reference, &text), "{c:?} U+{:04X}", u32::from(*c));
            }
            panic!("only together: {block:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn tokens_agree_with_the_tokenizers_crate_on_random_texts(
        text in prop_oneof![
            any::<String>(),
            "[a-zA-Z0-9 '.,!?àéîõüçñß日本\u{300}-\u{310}\u{200b}\t\n-]{0,200}",
            "[\\PC\\pM\\pP\\pZ]{0,40}",
        ],
    ) {
        thread_local! {
            static BOTH: (StaticEmbedder<'static>, PipelineTokenizer) = {
                let model = model();
                let reference = reference(&model.table().vocabulary);
                (model, reference)
            };
        }
        BOTH.with(|(model, reference)| {
            prop_assert_eq!(model.table().vocabulary.encode(&text), reference_ids(reference, &text));
            Ok(())
        })?;
    }
}

/// The folder of evaluation data beside the project; the tests that want it say so and pass where it is missing.
fn shared_data() -> Option<PathBuf> {
    let found = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/data"))
        .find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: there is no folder shared/data beside the project or above it");
    }
    found
}

fn json_lines(path: &std::path::Path) -> Vec<serde_json::Value> {
    let bytes = std::fs::read(path).unwrap();
    let text = if path.extension().is_some_and(|extension| extension == "gz") {
        std::io::read_to_string(flate2::read::GzDecoder::new(&bytes[..])).unwrap()
    } else {
        String::from_utf8(bytes).unwrap()
    };
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every string in a JSON value, however deep.
fn strings<'v>(value: &'v serde_json::Value, into: &mut Vec<&'v str>) {
    match value {
        serde_json::Value::String(text) => into.push(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| strings(field, into)),
        _ => {}
    }
}

#[test]
fn tokens_agree_with_the_tokenizers_crate_on_every_shared_text() {
    let Some(data) = shared_data() else { return };
    let model = model();
    let vocabulary = &model.table().vocabulary;
    let reference = reference(vocabulary);
    let mut checked = 0;
    for folder in std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if !name.ends_with(".jsonl") && !name.ends_with(".jsonl.gz") {
                continue;
            }
            let lines = json_lines(&file);
            let mut texts = Vec::new();
            lines.iter().for_each(|line| strings(line, &mut texts));
            for text in texts {
                assert_eq!(vocabulary.encode(text), reference_ids(&reference, text), "{name}: {text:?}");
                checked += 1;
            }
        }
    }
    println!("{checked} texts agree");
    assert!(checked > 50_000, "only {checked} texts were found");
}

fn text_of(value: &serde_json::Value, field: &str) -> String {
    value[field].as_str().unwrap().to_string()
}

fn rows(texts: &[String]) -> Vec<Vec<f32>> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (model, mut out) = (model(), Vec::new());
    model.embed(&texts, &mut out).unwrap();
    out.chunks(model.dimension()).map(<[f32]>::to_vec).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// Ranks from 0, equal values sharing the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for group in order.chunk_by(|&a, &b| values[a] == values[b]).scan(0, |start, group| {
        *start += group.len();
        Some((*start - group.len(), group))
    }) {
        let (start, members) = group;
        members.iter().for_each(|&i| ranks[i] = start as f64 + (members.len() - 1) as f64 / 2.0);
    }
    ranks
}

fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() - 1) as f64 / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

#[test]
fn similarity_of_sentences_follows_human_judgement() {
    let Some(data) = shared_data() else { return };
    let pairs = json_lines(&data.join("sts/pairs.jsonl.gz"));
    let a = rows(&pairs.iter().map(|pair| text_of(pair, "a")).collect::<Vec<_>>());
    let b = rows(&pairs.iter().map(|pair| text_of(pair, "b")).collect::<Vec<_>>());
    let cosines: Vec<f64> = a.iter().zip(&b).map(|(a, b)| dot(a, b)).collect();
    let human: Vec<f64> = pairs.iter().map(|pair| pair["score"].as_f64().unwrap()).collect();
    let reached = spearman(&cosines, &human);
    println!("Spearman over all {} pairs: {reached:.4}", pairs.len());
    assert!(reached >= 0.70, "{reached}");
}

#[test]
fn questions_find_their_answers() {
    let Some(data) = shared_data() else { return };
    let read = |name: &str| json_lines(&data.join("stackfaq").join(name));
    let texts = |name: &str| read(name).iter().map(|line| text_of(line, "text")).collect::<Vec<_>>();
    let (questions, answers) = (rows(&texts("queries.jsonl")), rows(&texts("docs.jsonl")));
    let mut right = vec![Vec::new(); questions.len()];
    for line in read("qrels.jsonl").iter().filter(|line| line["label"].as_f64() > Some(0.0)) {
        right[line["q"].as_u64().unwrap() as usize].push(line["d"].as_u64().unwrap() as usize);
    }
    let reciprocal_rank = |(question, right): (&Vec<f32>, &Vec<usize>)| {
        let scores: Vec<f64> = answers.iter().map(|answer| dot(question, answer)).collect();
        let best = right.iter().map(|&answer| scores[answer]).fold(f64::MIN, f64::max);
        1.0 / (1 + scores.iter().filter(|&&score| score > best).count()) as f64
    };
    let reached = questions.iter().zip(&right).map(reciprocal_rank).sum::<f64>() / questions.len() as f64;
    println!("MRR of {} questions against {} answers: {reached:.4}", questions.len(), answers.len());
    assert!(reached >= 0.52, "{reached}");
}

#[test]
fn the_bundled_table_is_small_and_honest_about_its_name() {
    let model = model();
    assert!(BUNDLED_TABLE.len() <= 6_000_000, "{} bytes", BUNDLED_TABLE.len());
    assert!((128..=256).contains(&model.dimension()));
    assert_eq!(model.name(), format!("static-{}", model.dimension()));
    assert!(by_name(model.name()).is_some_and(|found| found.dimension() == model.dimension()));
    assert!(by_name("no such model").is_none());
}

#[test]
fn a_batch_gives_the_bits_of_single_texts() {
    let model = model();
    let texts: Vec<String> = (0..500).map(|i| format!("text {i} about {}", NASTY[i % NASTY.len()])).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    // What is in `out` already stays there.
    let mut together = vec![7.0];
    model.embed(&texts, &mut together).unwrap();
    let mut singly = vec![7.0];
    texts.iter().for_each(|text| model.embed(&[text], &mut singly).unwrap());
    let bits = |rows: &[f32]| rows.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&together), bits(&singly));
}

#[test]
fn vectors_have_length_one_or_no_direction_at_all() {
    let model = model();
    for text in NASTY.iter().copied().chain(["a", "the", "What did I do with my keys?"]) {
        let mut row = Vec::new();
        model.embed(&[text], &mut row).unwrap();
        assert_eq!(row.len(), model.dimension());
        let expected = if model.knows(text) { 1.0 } else { 0.0 };
        assert!((dot(&row, &row).sqrt() - expected).abs() < 1e-6, "{text:?}: {}", dot(&row, &row));
    }
}

#[test]
fn nothing_to_embed_gives_nothing() {
    let (model, mut out) = (model(), Vec::new());
    model.embed(&[], &mut out).unwrap();
    assert!(out.is_empty());
    model.embed(&["", " \u{200b} "], &mut out).unwrap();
    assert_eq!(out, vec![0.0; 2 * model.dimension()]);
}

/// The tokens of a text as it is embedded.
fn apart(vocabulary: &Vocabulary<'_>, text: &str) -> Vec<u32> {
    let (mut buffer, mut ids) = (String::new(), Vec::new());
    vocabulary.encode_apart(text, &mut buffer, &mut ids);
    ids
}

#[test]
fn a_symbol_beside_a_word_does_not_hide_it() {
    let model = model();
    let embed = |text: &str| rows(&[text.to_string()]).remove(0);
    let plain = embed("I lost my keys");
    for glued in [
        "I lost my keys\u{1f600}",
        "I lost my\u{1f600}keys",
        "\u{1fae0}I lost my keys\u{1f44d}\u{1f3fd}\u{200d}\u{2642}\u{fe0f}",
        "I lost my keys☆彡",
        "I lost\u{1f600}my\u{1f600}keys",
        "\u{1f600}I\u{1f600}lost\u{1f600}my\u{1f600}keys",
    ] {
        assert_eq!(embed(glued), plain, "{glued:?}");
        assert!(model.knows(glued));
    }
    for unknown in ["", " \n", "\u{1f600}\u{1f600}", "☆", "Где мои ключи", "鍵をなくした", "\u{200b}"]
    {
        assert!(!model.knows(unknown), "{unknown:?}");
        assert!(embed(unknown).iter().all(|value| *value == 0.0), "{unknown:?}");
    }
    // What the vocabulary covers is never cut: an arrow is a piece of it, an emoji is not.
    for (text, tokens) in [("20°c", "20 ##° ##c"), ("5€", "5 ##€"), ("¹⁄₂", "¹⁄₂"), ("my→keys", "my ##→ ##key ##s")]
    {
        let ids = apart(&model.table().vocabulary, text);
        let found: Vec<&str> = ids.iter().filter_map(|id| model.table().vocabulary.token(*id)).collect();
        assert_eq!(found.join(" "), tokens);
    }
}

#[test]
fn what_bert_can_cover_is_embedded_as_bert_cuts_it() {
    let model = model();
    let vocabulary = &model.table().vocabulary;
    for text in NASTY.iter().copied().chain(["5€ and 20°C", "a ½ b™ c", "x\u{1f600}y z"]) {
        for word in text.split_whitespace() {
            let (as_bert, found) = (vocabulary.encode(word), apart(vocabulary, word));
            assert!(as_bert == found || as_bert.contains(&vocabulary.unknown()), "{word:?}");
        }
    }
}
