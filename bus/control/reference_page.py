"""
The API reference as one page of HTML: made here from the OpenAPI document, complete in itself.

No script, no font, no picture, nothing from elsewhere: it works in a closed network (内网), and the
content security policy allows nothing but its own style sheet.
"""

import base64
import hashlib
import html
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from bus.control.openapi import operations

Json: TypeAlias = Mapping[str, Any]

_STYLE = """
:root{--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--paper:#fff;--shade:#f4f6f9;--mark:#0b57a4}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#a3adba;--line:#39424e;--paper:#14181d;
--shade:#1d232a;--mark:#7fb7f0}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1.5rem;color:var(--ink);background:var(--paper);
font:16px/1.6 "Noto Sans SC","PingFang SC","Microsoft YaHei",system-ui,sans-serif}
a{color:var(--mark)}h1,h2,h3,h4{line-height:1.3}
h2{margin-top:3rem;border-bottom:2px solid var(--line)}
h3{margin-top:2.5rem;overflow-wrap:anywhere}h4{margin:1rem 0 .25rem;color:var(--soft)}
code{font-family:ui-monospace,Consolas,monospace;font-size:.92em}
nav ul{list-style:none;padding-left:0;columns:2 22rem}
nav li{break-inside:avoid;overflow-wrap:anywhere}
.method{display:inline-block;min-width:4.2rem;font-weight:700;text-transform:uppercase}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
th{background:var(--shade);font-weight:600;white-space:nowrap}
@media print{nav{display:none}body{max-width:none}}
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
#: What groups of operations are called in both languages.
_GROUPS = {
    "delivery": "交付 Delivery",
    "schema registry": "模式注册 Schema registry",
    "identity": "身份 Identity",
    "login": "登录 Login",
    "catalog": "目录 Catalog",
    "entries": "目录条目 Entries",
    "organisations": "机构 Organisations",
    "registration": "登记 Registration",
    "requests": "申请 Requests",
    "grants": "授权 Grants",
    "audit": "审计 Audit",
    "sources": "数源 Sources",
    "filings": "备案 Filings",
    "demands": "需求清单 Demands",
    "disagreements": "意见分歧 Disagreements",
    "notices": "通知 Notices",
    "profiles": "制度配置 Profiles",
    "search": "检索 Search",
    "supervision": "监督 Supervision",
}
_MAX_VALUES = 40


def reference_page(document: Json) -> str:
    """Return the page of a document."""
    groups: dict[str, list[tuple[str, str, Json]]] = defaultdict(list)
    for path, method, operation in operations(dict(document)):
        groups[operation.get("tags", ["other"])[0]].append((path, method, operation))
    info = document["info"]
    title = f"OneSource API 参考 Reference · {info['version']}"
    parts = [
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
        f'<header><h1>{_text(title)}</h1><p lang="en">{_prose(info.get("description", ""))}</p>',
        '<p><a href="openapi.json">OpenAPI 3.1 (JSON)</a></p></header>',
        _contents(groups),
        "<main>",
        *(_group(tag, found) for tag, found in groups.items()),
        _schemas(document["components"]["schemas"]),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _contents(groups: Mapping[str, list[tuple[str, str, Json]]]) -> str:
    parts = ['<nav aria-label="目录 Contents"><h2>目录 Contents</h2>']
    for tag, found in groups.items():
        parts.append(f"<h3>{_text(_GROUPS.get(tag, tag))}</h3><ul>")
        parts += (
            f'<li><a href="#{_anchor(operation)}">{_signature(path, method)}</a></li>'
            for path, method, operation in found
        )
        parts.append("</ul>")
    parts.append('<p><a href="#schemas">数据结构 Schemas</a></p></nav>')
    return "\n".join(parts)


def _group(tag: str, found: Iterable[tuple[str, str, Json]]) -> str:
    parts = [f"<section><h2>{_text(_GROUPS.get(tag, tag))}</h2>"]
    for path, method, operation in found:
        parts += [
            f'<article id="{_anchor(operation)}"><h3>{_signature(path, method)}</h3>',
            f'<p lang="en">{_prose(operation.get("description") or operation["summary"])}</p>',
            _logins(operation),
            _parameters(operation.get("parameters", ())),
            _body(operation.get("requestBody")),
            _answers(operation["responses"]),
            "</article>",
        ]
    return "\n".join([*parts, "</section>"])


def _logins(operation: Json) -> str:
    names = sorted({name for each in operation.get("security", ()) for name in each})
    shown = " / ".join(f"<code>{_text(name)}</code>" for name in names)
    return f"<p>登录 Login: {shown or '无 none'}</p>"


def _parameters(parameters: Iterable[Json]) -> str:
    rows = [
        (
            f"<code>{_text(each['name'])}</code>",
            _text(each["in"]),
            _kind(each.get("schema", {})),
            "是 yes" if each.get("required") else "否 no",
            _prose(each.get("description", "")),
        )
        for each in parameters
    ]
    heads = ("名称 Name", "位置 In", "类型 Type", "必填 Required", "说明 Meaning")
    return _table("参数 Parameters", heads, rows)


def _body(body: Json | None) -> str:
    if body is None:
        return ""
    rows = [
        (f"<code>{_text(kind)}</code>", _kind(each.get("schema", {})))
        for kind, each in body["content"].items()
    ]
    return _table("请求正文 Request body", ("媒体类型 Media type", "类型 Type"), rows)


def _answers(responses: Json) -> str:
    rows = []
    for status, answer in responses.items():
        kinds = [
            f"<code>{_text(kind)}</code> {_kind(each.get('schema', {}))}"
            for kind, each in answer.get("content", {}).items()
        ]
        rows.append((_text(status), _prose(answer["description"]), "<br>".join(kinds)))
    return _table("响应 Responses", ("状态 Status", "含义 Meaning", "内容 Content"), rows)


def _schemas(schemas: Json) -> str:
    parts = ['<section id="schemas"><h2>数据结构 Schemas</h2>']
    for name, schema in schemas.items():
        parts.append(f'<article id="schema-{_text(name)}"><h3><code>{_text(name)}</code></h3>')
        parts.append(f'<p lang="en">{_prose(schema.get("description", ""))}</p>')
        required = schema.get("required", ())
        rows = [
            (
                f"<code>{_text(each)}</code>",
                _kind(content),
                "是 yes" if each in required else "否 no",
                _prose(content.get("description", "")),
            )
            for each, content in schema.get("properties", {}).items()
        ]
        heads = ("名称 Name", "类型 Type", "必填 Required", "说明 Meaning")
        parts.append(_table("成员 Members", heads, rows) if rows else f"<p>{_kind(schema)}</p>")
        parts.append("</article>")
    return "\n".join([*parts, "</section>"])


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return ""
    head = "".join(f'<th scope="col">{_text(each)}</th>' for each in heads)
    return (
        f'<h4>{_text(title)}</h4><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _kind(schema: Json) -> str:
    """Return what a schema allows, in a few words, with links to what has a name."""
    if "$ref" in schema:
        name = _text(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for joined in ("anyOf", "oneOf", "allOf"):
        if joined in schema:
            return " | ".join(_kind(each) for each in schema[joined])
    if "enum" in schema:
        values = [f"<code>{_text(_plain(each))}</code>" for each in schema["enum"][:_MAX_VALUES]]
        return " | ".join(values)
    if "const" in schema:
        return f"<code>{_text(_plain(schema['const']))}</code>"
    kind = _text(schema.get("type", "any"))
    if kind == "array":
        kind = f"[{_kind(schema.get('items', {}))}]"
    elif isinstance(schema.get("additionalProperties"), Mapping):
        kind = f"{{…: {_kind(schema['additionalProperties'])}}}"
    return " ".join([kind, *_limits(schema)])


def _limits(schema: Json) -> list[str]:
    named = {
        "format": "",
        "minimum": "≥ ",
        "maximum": "≤ ",
        "exclusiveMinimum": "> ",
        "minLength": "字符 characters ≥ ",
        "maxLength": "字符 characters ≤ ",
        "minItems": "项 items ≥ ",
        "maxItems": "项 items ≤ ",
        "pattern": "~ ",
        "default": "默认 default ",
    }
    return [
        f"<small>{sign}<code>{_text(_plain(schema[name]))}</code></small>"
        for name, sign in named.items()
        if schema.get(name) is not None
    ]


def _anchor(operation: Json) -> str:
    return _text(operation["operationId"])


def _signature(path: str, method: str) -> str:
    return f'<code><span class="method">{_text(method)}</span> {_text(path)}</code>'


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _prose(text: str) -> str:
    """Return text with `code` marked; everything else is as it was written."""
    marked = [
        f"<code>{_text(part)}</code>" if number % 2 else _text(part)
        for number, part in enumerate(text.split("`"))
    ]
    return "".join(marked)


def _text(text: object) -> str:
    return html.escape(str(text))
