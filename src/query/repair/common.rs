//! Repairs that several places share: commas, brackets, and what is put behind the token before the mistake.

use crate::query::scene::{Edit, Scene, Ways};
use crate::query::token::{Kind, Token};

/// Puts `text` behind the token before the mistake.
pub(super) fn behind(scene: &Scene<'_>, text: &str) -> Ways {
    scene.before(1).map(|token| vec![Edit::insert(token.end(), text)]).into_iter().collect()
}

/// Commas between all values of a list.
pub(in crate::query) fn separate(scene: &Scene<'_>) -> Ways {
    let value = |token: &Token<'_>| matches!(token.kind, Kind::Number | Kind::Text | Kind::Param | Kind::Word);
    let mut edits = Vec::new();
    for pair in scene.tokens[scene.at - 1..].windows(2) {
        if matches!(pair[0].kind, Kind::Close | Kind::CloseBracket | Kind::Pipe) {
            break;
        }
        if value(&pair[0]) && (value(&pair[1]) || pair[1].kind == Kind::Minus) {
            edits.push(Edit::insert(pair[0].end(), ","));
        }
    }
    vec![edits]
}

/// Takes out the comma before the mistake.
pub(in crate::query) fn drop_comma(scene: &Scene<'_>) -> Ways {
    scene.before(1).map(|comma| vec![Edit::delete(comma.span())]).into_iter().collect()
}

/// A closing bracket that is missing, or stands as another one.
pub(super) fn close_with(scene: &Scene<'_>, bracket: &str) -> Ways {
    let token = scene.token();
    let mut ways = Vec::new();
    if matches!(token.kind, Kind::Close | Kind::CloseBracket) || token.is_foreign("}") {
        ways.push(vec![Edit::replace(token.span(), bracket)]);
    }
    ways.extend(behind(scene, bracket));
    ways
}
