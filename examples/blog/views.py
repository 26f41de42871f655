"""HTML, written by hand and small: functions from data to text.

Whatever comes from outside goes through ``escape`` in the line that puts it into the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from oxidite.db import CursorPage
from oxidite.errors import FieldError
from oxidite.routing import URLs

from .models import Comment, Post

Draft = Mapping[str, str]
"""What somebody typed into a form, by field."""

EMPTY: Draft = {}

# What a person is told; the API says the same to a program in its own words.
ADVICE = {
    "title": "A title has 1 to 120 characters.",
    "author": "A name has at most 60 characters.",
    "summary": "The summary has at most 200 characters.",
    "body": "The text is missing, or too long.",
}
OTHER_ADVICE = "There is a field that does not belong here."


def index_page(
    page: CursorPage[Post],
    site: str,
    url: URLs,
    *,
    draft: Draft = EMPTY,
    errors: Sequence[FieldError] = (),
) -> str:
    """The list of posts, with the form for a new one."""
    posts = "\n".join(_teaser(post, url) for post in page.items)
    older = (
        f'<p class="more"><a rel="next" href="{escape(url("index", after=page.next))}">Older posts</a></p>'
        if page.next
        else ""
    )
    return _document(
        site,
        site,
        f"""
<section aria-labelledby="posts">
  <h2 id="posts">Posts</h2>
  {posts or '<p class="empty">Nothing here yet. Write the first post.</p>'}
  {older}
</section>
<aside>
  <form method="post" action="{escape(url("publish"))}" class="card">
    <h2>Write a post</h2>
    {_errors(errors)}
    {_input("title", "Title", draft, maxlength=120, required=True)}
    {_input("summary", "In one line", draft, maxlength=200, hint="optional")}
    {_textarea("body", "Text", draft, maxlength=20_000, rows=7)}
    {_input("author", "Your name", draft, maxlength=60, hint="optional")}
    <button>Publish</button>
  </form>
</aside>""",
        url,
        wide=True,
    )


def post_page(
    post: Post,
    comments: Sequence[Comment],
    site: str,
    url: URLs,
    *,
    draft: Draft = EMPTY,
    errors: Sequence[FieldError] = (),
) -> str:
    """One post, its comments, and the form for one more."""
    summary = f'<p class="summary">{escape(post.summary)}</p>' if post.summary else ""
    count = "1 comment" if len(comments) == 1 else f"{len(comments)} comments"
    return _document(
        f"{post.title} · {site}",
        site,
        f"""
<article class="post">
  <h2>{escape(post.title)}</h2>
  <p class="by">{escape(post.author)} · {_time(post.created)}</p>
  {summary}
  {_paragraphs(post.body)}
</article>
<section class="comments" aria-labelledby="comments">
  <h3 id="comments">{count}</h3>
  {"".join(map(_comment, comments))}
  <form method="post" action="{escape(url("comment", id=post.id))}" class="card">
    <h3>Add a comment</h3>
    {_errors(errors)}
    {_textarea("body", "Comment", draft, maxlength=2_000, rows=4)}
    {_input("author", "Your name", draft, maxlength=60, hint="optional")}
    <button>Comment</button>
  </form>
</section>""",
        url,
    )


def _document(title: str, site: str, main: str, url: URLs, *, wide: bool = False) -> str:
    api = escape(url("api.posts.index"))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{escape(url("stylesheet"))}">
</head>
<body>
<header><h1><a href="{escape(url("index"))}">{escape(site)}</a></h1></header>
<main{' class="wide"' if wide else ""}>{main}
</main>
<footer>Everything here is kept in one table of posts and one of comments. The same posts as JSON:
<a href="{api}">{api}</a></footer>
</body>
</html>
"""


def _teaser(post: Post, url: URLs) -> str:
    return f"""<article class="teaser">
    <h3><a href="{escape(url("show", id=post.id))}">{escape(post.title)}</a></h3>
    <p class="by">{escape(post.author)} · {_time(post.created)}</p>
    <p>{escape(post.summary or _beginning(post.body))}</p>
  </article>"""


def _comment(comment: Comment) -> str:
    return f"""<article class="comment" id="comment-{comment.id}">
    <p class="by"><strong>{escape(comment.author)}</strong> · {_time(comment.created)}</p>
    {_paragraphs(comment.body)}
  </article>"""


def _time(moment: datetime) -> str:
    return f'<time datetime="{moment.isoformat()}">{moment.day} {moment:%B %Y}</time>'


def _beginning(text: str, length: int = 140) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[:length].rpartition(" ")[0] + " …"


def _paragraphs(text: str) -> str:
    parts = text.replace("\r\n", "\n").split("\n\n")
    return "".join(f"<p>{escape(part.strip())}</p>" for part in parts if part.strip())


def _errors(errors: Sequence[FieldError]) -> str:
    if not errors:
        return ""
    fields = dict.fromkeys((error.pointer or "").strip("/") for error in errors)
    advice = dict.fromkeys(ADVICE.get(field, OTHER_ADVICE) for field in fields)
    items = "".join(f"<li>{escape(text)}</li>" for text in advice)
    return f'<ul class="errors" role="alert">{items}</ul>'


def _input(
    name: str,
    label: str,
    draft: Draft,
    *,
    maxlength: int,
    hint: str = "",
    required: bool = False,
) -> str:
    return f"""<label>{_label(label, hint)}
      <input name="{name}" maxlength="{maxlength}" autocomplete="off"{" required" if required else ""}
        value="{escape(draft.get(name, ""))}"></label>"""


def _textarea(name: str, label: str, draft: Draft, *, maxlength: int, rows: int) -> str:
    # A browser drops the first line break after the tag, so there is one to drop.
    return f"""<label>{_label(label)}
      <textarea name="{name}" rows="{rows}" maxlength="{maxlength}" required>
{escape(draft.get(name, ""))}</textarea></label>"""


def _label(label: str, hint: str = "") -> str:
    return f"<span>{label}{f' <small>{hint}</small>' if hint else ''}</span>"
