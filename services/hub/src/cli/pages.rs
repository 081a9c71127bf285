//! Lists that come in pages.

use hansa_client::hub::CallError;

/// All items of a list. `page` asks for the page that begins at a token, and gives its items and the token of the next.
pub(super) async fn all<T>(
    mut page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), CallError>,
) -> Result<Vec<T>, CallError> {
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let (items, next) = page(token).await?;
        all.extend(items);
        if next.is_empty() {
            return Ok(all);
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_page_is_asked_for_once_and_in_order() {
        let mut asked = Vec::new();
        let items = all(async |token: String| {
            asked.push(token.clone());
            Ok(match token.as_str() {
                "" => (vec![1, 2], "b".to_owned()),
                // A page may be empty though more follow.
                "b" => (vec![], "c".to_owned()),
                _ => (vec![3], String::new()),
            })
        })
        .await
        .unwrap();
        assert_eq!(items, [1, 2, 3]);
        assert_eq!(asked, ["", "b", "c"]);
    }
}
