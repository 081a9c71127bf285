//! What user agents look like, as regular expressions. Owns general knowledge (words that robots use of themselves, how a
//! browser's text is built, which names are programs of people); single robots are the list's business.
//!
//! Verbose, without case. Order of use: [`INNOCENT`] is taken out, then the list and the words of programs are looked for in
//! what is left, and what shows nothing must look like a program of people ([`PERSON`]).

/// Parts of the texts of people's programs in which words of robots mean nothing: names of telephones, package names, what
/// in-app browsers write of their telephone, add-ons, products whose name is such a word.
pub(super) const INNOCENT: &str = r"(?ix)
   \bAndroid\ API\ \d+
 | \bAndroid\b[^;()]{0,14};\s*(?:[a-z]{2}(?:[-_][a-z]{2})?;\s*)?[^;()]*
 | \bBuild/[^;)]*
 | \.NET\ ?(?:CLR|Client)?\s?[\d.]*[CE]?\b(?:\s*Client)?
 | \bEcosia\ \w+@[\d.]+
 | \[(?:FBAN|FB_IAB|FBSS|LinkedInApp)[^\]]*\]?
 | \bNAVER\([^)]*\)
 | \bInstagram\ [\d.]+\ [^()]*\([^)]*\)
 | \bCubot\b[\w\ ]*
 | \b(?:MozacFetch|Sogou(?:MobileBrowser|MSE|Search)|SE\ 2\.X\ MetaSr|Viber|MetaIAB|Fluid|Code|Trae|Blackboard|Freespoke
     |Instapaper|Phantom/(?:ios|android)|CamScanner|HiSearch|YaSearchBrowser|YaSearchApp|YaApp_Android|GSA|coccocbrowser
     |ProxyFox|Blue\ Proxy|Crusta|InspectBrowser|SiteKiosk|ChanjetCloud|CreativeCloud|Nextcloud-android|Cloud\ Phone
     |Presearch|UNTRUSTED|Tungsten\ Proxyless|WhatsAppElectron|Overcast|Podimo|RSSRadio|QQDownload
     |WindowsStore|Sonic\ Slack_SSB|Quick\ Search\ TV|Job\ Search|SearchCraft|Windows\ Phone\ Ad\ Client
     |GOGGalaxyClient|Safari%20Technology%20Preview|AirSearch|RakutenWebsearch)(?:[/\d.]+|\b)
 | \b(?:com|org|net|io|de|jp|co|me|app)\.[a-z0-9_]+(?:\.\w+)+
 | Chrome/[\d.]+coccoc
 | \b(?:WAP\ Browser/MAUI|Browser/Opera)\s*\(?[^();]*\)?
 | \bGoogle\ WAP\ Proxy/[\d.]+ | \bGoogle\.DriveExtension | \bamazon-fireos | \bApple-i\w+
 | Mobile\ Safari/[\d.]+\ \w+search/[\d.]+
 | 360browser\([^)]*\)
 | \blibwww-FM\S* | \blibhttp/[\d.]+ | ^(?:NCSA_Mosaic|VMS_Mosaic)\S*(?:\ \([^)]*\))?\ libwww\S*
 | ^(?:Safari|Sleipnir|com\.apple\.WebKit)[^(]*\([^)]*\)
 | \bosmeta\S*\s[\d.]+ | \bHP[-_\ ]?Pro\w* | (?:Inc\.|Corporation|HP|LENOVO|Acer)/[^;)]*
 | Embedded\ Web\ Browser\ from:\ http://\S+ | http://www\.(?:QtWeb\.net|xbmc\.org)
 | \b(?:WEB|Ask|Amazon|Battle)\.(?:DE|com|net)(?:/|\ ) | \bAmiga-AWeb
 | Version/[\d.]+\.(?:EU|US|JP) | NintendoBrowser/[\d.]+\.(?:EU|US|JP)
";

/// Words and shapes that robots show of themselves even where a telephone's name is expected.
pub(super) const ANYWHERE: &str = r"(?ix) screenshot | neustar | catchpoint | [a-z]bot/\d | headless
   | (?-i: ^mozilla/ | \bcfnetwork/ | \bapplewebkit/ )             # browsers write these with capitals
   | [,|]\s?Mozilla/                                            # a proxy that puts its name in front
   | '\s*(?:\+|or|and)\b?.*\( | <[?a-z!] | \$\{ | \{\{ | \.\./    # an attack on whoever reads it
   | \(Unknown;
";

/// Words that programs use of what they do.
pub(super) const WORD: &str = r"(?ix)
   bot(?:[^a-z]|$) | \bbot | robot | crawl | spider | scrap(?:e|y|ing) | slurp | harvest | archiv | \bindexe?r | monitor
 | valid(?:at|ity) | scann?er\b | preview | fetch | rss(?:[^a-z]|$) | \brss | seo\b | \bseo | analy[sz] | \bprob(?:e|ing)
 | \bping(?:dom|\b|er) | uptime | sitemap | link\ ?(?:check|walk|exam|valid) | check(?:er|link|mark|host|s\b)
 | grab(?:ber|\b) | download | extract | collect(?:or|ing) | verif | \binspect | inspector | classif | semantic | audit | survey | snoop | sniff
 | screenshot | screenie | webshot | snapr\b | transcod | httrack | web\ ?(?:cop|zip|reap|strip|suck|capture|2png) | mirror
 | load\ ?test | benchmark | exploit | vuln | page\ ?speed | lighthouse | nutch | heritrix | lucene | favicon | wkhtml
 | webkit2 | imgsizer | thumb(?:nail|s?/) | \bptst\b | synthetic | read-?aloud | \bfeed(?:[^rb]|$)
 | feed(?:ly|burner|er|reader|press|s\b) | research | plagiar | copyright
 | compatible;[^)]*[a-z](?:search|web|link|site|agent)\b
 | \b(?:google|yandex|bing|baidu|yahoo|apple|amazon|facebook|meta|twitter|microsoft)[-.][a-z]+ | \b\w+[-_]google\b
 | -publisher-plugin | keyword | \bmapper | mutant | debugbear | search(?:[^a-z]|$) | security | \bscan\b | tester
 | \btest(?:ing)?\b | \bcheck\b | agent\b | worker | capture | cloud | proxy | \bhttp(?:[^s;:]|$) | \bhttps[a-z]
 | httpstatus | backlink | site(?:[^a-z]|$) | domain | hack | insight | observatory | unfurl | opengraph | metadata
 | \bcache | compress | optimiz | translate | client[/\ ][\d.]+(?:\ |$) | client\ protocol | \bai\b | \bllm | \bgpt
 | claude | openai | perplexity | \bmcp\b | meter\b | criteo | kimono | iplabel | existence\ discovery
 | weblight | dejaclick | geckoversion | unknown\ version | [(;]\s*contact
 | ^Microsoft\ Office\ \w+\ \d{4}
";

/// An address of whoever runs the program: browsers carry none.
pub(super) const CONTACT: &str = r"(?ix)
   https?: | www\. | [\w.-]+@[\w-]+\.[a-z]{2,} | \w\(at\)\w | \ \[?at\]?\ \w+\ \[?dot\]?\
 | \b[a-z][\w-]{2,}\.(?:com|net|org|io|info|html?|php|aspx?)\b
 | \b[a-z][\w-]*\.(?:de|ru|fr|cn|jp|cz|it|pl|nl|eu|us|uk|se|ai|me|co)(?:[/\s;)]|$)
";

/// Browsers that a program drives.
pub(super) const AUTOMATION: &str = r"(?ix)
   headless | phantomjs | puppeteer | playwright | selenium | webdriver | cypress | slimerjs | casperjs | zombie\.js | jsdom
 | splash\ version | lightpanda | prerender
 | \(KHTML,\ like\ Gecko\)\ (?-i:[a-z][a-z0-9]*)\ Safari/     # an engine without a browser's name and version
 | like\ Gecko;                                              # a robot's name in the engine's remark
";

/// Libraries and tools that speak HTTP.
pub(super) const LIBRARY: &str = r"(?ix)
   curl | wget | python | ^java/ | \bjava1\. | okhttp | libwww | \bperl\b | lwp[:-] | \bruby\b | php\b | axios | undici
 | node(?:[.-]|js|\b) | \bgo[-\ ]?(?:http|lang|resty|\d) | golang | guzzle | jakarta | httpclient | winhttp | postman
 | insomnia | aiohttp | faraday | request | \bcurb\b | erlang | \brust\b | reqwest | urlgrabber | urllib | httpx | scala
 | dart[:/] | \bAPI\b
 | ^[^(]*CFNetwork/[\d.]+\ Darwin/[\d.]+\ \((?:x86_64|i386)\)  # a program of a desktop that is not its browser
";

/// What programs of people look like: browsers, in-app browsers, apps, telephones, televisions, consoles.
pub(super) const PERSON: &str = r#"(?ix)
   ^"?Mozilla\ ?/\ ?\d.*(?:AppleWebKit|\bGecko|KHTML|Presto|Opera|Firefox/|UC\ ?Browser|NetFront|Polaris|Chrome/|Safari/
     |Goanna|Servo|Ladybird|LibWeb|Maple|CE-HTML|CellPhone|AWeb|WebTV|RISC\ OS|Treco)
 | ^Mozilla/\d.*\b(?:MSIE\ [\d.]+\w?;|Konqueror|NetPositive|IBrowse|AWeb|AvantGo|IEMobile|ms-office)
 | ^Mozilla/[1-4]\.\d+[\w-]*\ (?:\[\w+\]\ ?)?(?:\w+\ )?\((?:Win|Mac|X11|OS/2|PlayStation|Charon|jig|PSP
     |compatible;\ (?:MSIE|Polaris|OffByOne)|RISC|WorldGate)
 | ^(?:Opera|Lynx|Links|ELinks|w3m|Dillo|NetSurf|IBrowse|Amiga\w*|AmigaVoyager|Voyager\w*|QuickTime\w*|UCWEB|SonyEricsson
     |Nokia\w*|SAMSUNG|LG|MOT|SIE|BlackBerry\w*|SEC-|HbbTV|Hybridcast|LOEWE|iTunes|AppleCoreMedia|Roku\w*|GoogleEarth
     |GoogleApp|Microsoft\ Office(?:\ \w+)?/|Thunderbird|Postbox|Outlook|Dalvik|Instagram|Pinterest|Snapchat|TikTok
     |WeChat|Line|GOGGalaxyClient|AppleWebKit|NCSA_Mosaic|VMS_Mosaic|XBMC|Kodi|OmniWeb|MQQBrowser
     |iBrowser|Zeasn|Xiino|Uzbl|Maemo)(?:\b|\d)
 | ^(?:Spotify|Brave|Firefox|Chrome|OPR|WebKit|Word)\b\D{0,20}\d{1,9}[.\d]{2,}
 | MIDP | CLDC | UP\.Browser | NetFront | Obigo | Teleca | Polaris | BlackBerry | DoCoMo | \bKDDI | J-PHONE | SoftBank
 | Vodafone | Dalvik | CFNetwork | Darwin/ | \bAndroid\b | \biPhone | \biPad | \biPod | \biOS\b | Windows\ Phone | MAUI\b
 | WAP[-\ _]Browser | KAIOS | UCBrowser | HbbTV | SmartTV | \bAppleTV | Apple\ TV | \btvOS | \bSonos\b | Nintendo
 | PlayStation | Xbox | Symbian | Series\ ?60 | \bBada\b | MeeGo | Tizen | \bFBAN/ | \bCronet/ | MetaIAB | Palm
 | \bMozacFetch/
"#;
