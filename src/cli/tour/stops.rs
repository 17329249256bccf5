//! The stops of the tour: what is asked, and what may be said about it beforehand.
//!
//! Plain data. Every statement here is run against the store that the tour makes; no answer stands in this file.

/// One stop: a story, statements with a word before each, and what the shipped model can and cannot tell here.
pub(in crate::cli) struct Stop {
    /// The heading.
    pub(in crate::cli) title: &'static str,
    /// Told before the first statement.
    pub(in crate::cli) story: &'static str,
    /// (what it asks, in words; the statement)
    pub(in crate::cli) questions: &'static [(&'static str, &'static str)],
    /// Told after the last answer.
    pub(in crate::cli) honest: &'static str,
}

/// All stops, in order.
pub(in crate::cli) const STOPS: &[Stop] = &[
    Stop {
        title: "Letters or meaning",
        story: "`boat` and `coat` differ by one letter and mean different things. A sentence that shares no word with \
                another may still mean the same. Edit distance sees the first, an embedding is meant to see the \
                second.",
        questions: &[
            ("By edit distance:", "find #s19 in sentences | score levenshtein | top 4"),
            ("By meaning, where the one about Dad comes up:", "find #s19 in sentences | score cosine | top 4"),
        ],
        honest: "The shipped model averages words: it finds the paraphrase from its vocabulary, but a sentence that \
                 shares four of five words stays close, whatever the fifth does to the meaning, and \"the dog chased \
                 the cat\" is \"the cat chased the dog\" to it.",
    },
    Stop {
        title: "The lost keys",
        story: "A question is most like other questions. Its answer, \"I left them in my pocket\" (n09), names no \
                keys and asks nothing.",
        questions: &[
            ("The texts as they were written:", "find \"What did I do with my keys?\" in notes | top 4"),
            (
                "Only what was noted as an answer:",
                "find \"What did I do with my keys?\" in notes | where kind = \"answer\" | top 4",
            ),
            (
                "Through a view of rewritten texts, the question that each note answers:",
                "find \"What did I do with my keys?\" in notes | view asks | top 4",
            ),
        ],
        honest: "The model has one vector for each word, whatever it means there: a piano out of key is about keys to \
                 it. And no preprocessing tells it that pockets hold keys. A rewritten text does; here the rewriting \
                 was done by hand, and records without one are counted as absent.",
    },
    Stop {
        title: "Alike in what respect",
        story: "Stephen Hawking is like other physicists, and like other people from England. One vector for each text \
                mixes both. A view is another text of the same record, with a vector of its own.",
        questions: &[
            ("As described:", "find #hawking in people | center corpus | top 5"),
            (
                "Through the template \"Nationality of {text}\":",
                "find #hawking in people | view nationality | center corpus | top 5",
            ),
            (
                "Through a rewritten text, where each was born:",
                "find #hawking in people | view origin | center corpus | top 5",
            ),
        ],
        honest: "A template steers models that were trained to follow instructions. This one adds the same two words \
                 to every average, so the ranking hardly moves; only a text that is about the respect you mean does \
                 it.",
    },
    Stop {
        title: "Arithmetic",
        story: "A source may be a weighted sum. Records named in it are left out of the answer and counted.",
        questions: &[
            ("king - man + woman:", "find #king - #man + #woman in words | score cosine | top 3"),
            ("paris - france + germany:", "find #paris - #france + #germany in words | score cosine | top 3"),
        ],
        honest: "Analogies are a parlour trick: they work for words that stand in many parallel sentences, and fail \
                 quietly for most others.",
    },
    Stop {
        title: "Two centers",
        story: "Ten people rated eight films from 1 to 5. `center` takes each rater's own average away (Pearson's \
                correlation does that): who likes the same films, however sternly they mark? `center corpus` takes the \
                films' averages away: who departs from the crowd in the same way? They share a word in many products. \
                Here they never do.",
        questions: &[
            (
                "Plain cosine, which mostly sees that all ratings are positive:",
                "find #ada in ratings | score cosine | top 4",
            ),
            ("The rater's own mean:", "find #ada in ratings | center | score cosine | top 4"),
            ("The mean of all raters:", "find #ada in ratings | center corpus | score cosine | top 4"),
        ],
        honest: "Nothing was rebuilt between these three: each is one scan of the same rows with another folded query. \
                 On the shipped model's own vectors the two differ little, because their mean coordinate is near zero.",
    },
];
