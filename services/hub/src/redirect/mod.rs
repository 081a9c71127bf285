//! The redirect endpoint: HTTP, for shoppers' browsers. `GET /c/{link}` leads to the merchant with a click id, `GET /v/{link}`
//! notes a view. Everything behind the address bar is [`Touches`]' business; here are requests, answers and addresses.
//!
//! An answer with a click id stands for a touch that is on disk.

pub mod address;
pub mod server;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, RawQuery, State},
    routing::get,
};
use hansa_fraud::lists::Request as Shown;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use url::form_urlencoded;

use crate::touches::{MAX_SUB_ID, NotLed, Touches, Visit, judge::Sight};
use address::{Proxy, visitor};

/// A transparent picture of one pixel.
const PIXEL: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\
\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What every request needs.
#[derive(Debug)]
struct Redirect {
    touches: Arc<Touches>,
    proxies: Vec<Proxy>,
}

/// The endpoint's paths.
pub(crate) fn router(touches: Arc<Touches>, proxies: Vec<Proxy>) -> Router {
    Router::new()
        .route("/c/{link}", get(click))
        .route("/v/{link}", get(view))
        .fallback(async || words(StatusCode::NOT_FOUND, "There is nothing here.\n"))
        .with_state(Arc::new(Redirect { touches, proxies }))
}

/// What a request says, in one place for both paths.
struct Asked<'a> {
    sight: Sight<'a>,
    sub_id: String,
    to: Option<String>,
}

impl Redirect {
    fn asked<'a>(
        &self,
        method: &Method,
        peer: IpAddr,
        headers: &'a HeaderMap,
        query: &'a str,
    ) -> Asked<'a> {
        let text = |value: &'a HeaderValue| value.to_str().ok();
        let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(text);
        let address = visitor(peer, forwarded, &self.proxies);
        let mut request = Shown::new(method.as_str(), address, query);
        for (name, value) in headers {
            if let Some(value) = text(value) {
                request = request.header(name.as_str(), value);
            }
        }
        let (mut sub_id, mut to) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "sub_id" => sub_id = sub_id.or(Some(value.into_owned())),
                "to" => to = to.or(Some(value.into_owned())),
                _ => {}
            }
        }
        Asked {
            sight: Sight {
                request,
                address,
                query,
                referrer: headers.get(header::REFERER).and_then(text).unwrap_or(""),
                device: "",
            },
            sub_id: sub_id.unwrap_or_default(),
            to: to.filter(|to| !to.is_empty()),
        }
    }
}

async fn click(
    State(redirect): State<Arc<Redirect>>,
    Path(link): Path<String>,
    RawQuery(query): RawQuery,
    Extension(Peer(peer)): Extension<Peer>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let query = query.unwrap_or_default();
    let asked = redirect.asked(&method, peer.ip(), &headers, &query);
    let visit = Visit {
        link: &link,
        sub_id: &asked.sub_id,
        to: asked.to.as_deref(),
        sight: asked.sight,
    };
    match redirect.touches.click(&visit).await {
        Ok(location) => led(&location),
        Err(error) => not_led(error),
    }
}

async fn view(
    State(redirect): State<Arc<Redirect>>,
    Path(link): Path<String>,
    RawQuery(query): RawQuery,
    Extension(Peer(peer)): Extension<Peer>,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let query = query.unwrap_or_default();
    let asked = redirect.asked(&method, peer.ip(), &headers, &query);
    let visit = Visit {
        link: &link,
        sub_id: &asked.sub_id,
        to: None,
        sight: asked.sight,
    };
    match redirect.touches.view(&visit).await {
        Ok(()) => {
            let mut response = answer(StatusCode::OK, Body::from(PIXEL));
            let gif = HeaderValue::from_static("image/gif");
            response.headers_mut().insert(header::CONTENT_TYPE, gif);
            response
        }
        Err(error) => not_led(error),
    }
}

/// Every touch is asked for anew, and other sites learn no more of where the shopper came from than browsers tell by default.
fn answer(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn led(location: &str) -> Response<Body> {
    // URLs are written in ASCII without control characters.
    let Ok(location) = HeaderValue::from_str(location) else {
        return words(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The link's destination cannot be written.\n",
        );
    };
    let mut response = answer(StatusCode::FOUND, Body::empty());
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn words(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = answer(status, Body::from(text.into()));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

fn not_led(error: NotLed) -> Response<Body> {
    match error {
        NotLed::Unknown => words(
            StatusCode::NOT_FOUND,
            "This link does not exist. Please tell whoever gave it to you.\n",
        ),
        NotLed::Busy => {
            let mut response = words(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too much to do at the moment. Please try again in a few seconds.\n",
            );
            let seconds = HeaderValue::from_static("2");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            response
        }
        NotLed::To(why) => words(
            StatusCode::BAD_REQUEST,
            format!("The page in \"to\" {why}.\n"),
        ),
        NotLed::SubId => words(
            StatusCode::BAD_REQUEST,
            format!("\"sub_id\" has at most {MAX_SUB_ID} bytes and no control characters.\n"),
        ),
    }
}
