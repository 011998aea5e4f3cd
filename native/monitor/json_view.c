/* SPDX-License-Identifier: Apache-2.0 */
#include "json_view.h"

#include <errno.h>
#include <string.h>

#include "text.h"

struct scan {
	const char *at, *end;
};

static void skip_space(struct scan *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
		s->at++;
}

static int hex4(const char *p, const char *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		value <<= 4;
		if (c >= '0' && c <= '9')
			value |= c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value |= (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* After the backslash and 'u'. A surrogate must be a pair: then both are taken. */
static int scan_unicode(struct scan *s)
{
	int high = hex4(s->at, s->end), low;

	if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
		return -EINVAL;
	s->at += 4;
	if (high < 0xd800 || high > 0xdbff)
		return 0;
	if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
		return -EINVAL;
	low = hex4(s->at + 2, s->end);
	if (low < 0xdc00 || low > 0xdfff)
		return -EINVAL;
	s->at += 6;
	return 0;
}

static int scan_string(struct scan *s)
{
	s->at++;
	while (s->at < s->end) {
		unsigned char c = (unsigned char)*s->at;
		size_t n;

		if (c == '"') {
			s->at++;
			return 0;
		}
		if (c < 0x20)
			return -EINVAL;
		if (c != '\\') {
			n = utf8_sequence(s->at, (size_t)(s->end - s->at));
			if (n == 0)
				return -EINVAL;
			s->at += n;
			continue;
		}
		if (++s->at == s->end)
			return -EINVAL;
		c = (unsigned char)*s->at++;
		if (c == 'u') {
			if (scan_unicode(s) < 0)
				return -EINVAL;
		} else if (!memchr("\"\\/bfnrt", c, 8)) {
			return -EINVAL;
		}
	}
	return -EINVAL;
}

static bool scan_digits(struct scan *s)
{
	const char *from = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > from;
}

static int scan_number(struct scan *s)
{
	const char *first;

	if (*s->at == '-')
		s->at++;
	first = s->at;
	if (!scan_digits(s) || (*first == '0' && s->at - first > 1))
		return -EINVAL;
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		if (!scan_digits(s))
			return -EINVAL;
	}
	if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
		s->at++;
		if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
			s->at++;
		if (!scan_digits(s))
			return -EINVAL;
	}
	return 0;
}

static int scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
		return -EINVAL;
	s->at += n;
	return 0;
}

static int scan_value(struct scan *s, int depth);

/* An object or array, behind its opening bracket. */
static int scan_members(struct scan *s, bool object, int depth)
{
	char close = object ? '}' : ']';

	s->at++;
	skip_space(s);
	if (s->at < s->end && *s->at == close) {
		s->at++;
		return 0;
	}
	for (;;) {
		skip_space(s);
		if (object) {
			if (s->at == s->end || *s->at != '"' || scan_string(s) < 0)
				return -EINVAL;
			skip_space(s);
			if (s->at == s->end || *s->at++ != ':')
				return -EINVAL;
			skip_space(s);
		}
		if (scan_value(s, depth + 1) < 0)
			return -EINVAL;
		skip_space(s);
		if (s->at == s->end)
			return -EINVAL;
		if (*s->at == close) {
			s->at++;
			return 0;
		}
		if (*s->at++ != ',')
			return -EINVAL;
	}
}

static int scan_value(struct scan *s, int depth)
{
	if (s->at == s->end || depth > JSON_VIEW_DEPTH)
		return -EINVAL;
	switch (*s->at) {
	case '{':
		return scan_members(s, true, depth);
	case '[':
		return scan_members(s, false, depth);
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return *s->at == '-' || (*s->at >= '0' && *s->at <= '9') ? scan_number(s) : -EINVAL;
	}
}

int json_view_parse(const char *text, size_t len, struct json_view *ret)
{
	struct scan s = { text, text + len };
	const char *from;

	skip_space(&s);
	from = s.at;
	if (scan_value(&s, 0) < 0)
		return -EINVAL;
	*ret = (struct json_view){ from, (size_t)(s.at - from) };
	skip_space(&s);
	return s.at == s.end ? 0 : -EINVAL;
}

char json_view_kind(struct json_view v)
{
	if (!v.at)
		return 0;
	return *v.at == '-' || (*v.at >= '0' && *v.at <= '9') ? '0' : *v.at;
}

bool json_view_next(struct json_view v, size_t *pos, struct json_view *ret_key, struct json_view *ret)
{
	char kind = json_view_kind(v);
	struct scan s;
	const char *from;

	if (kind != '{' && kind != '[')
		return false;
	s = (struct scan){ v.at + (*pos ? *pos : 1), v.at + v.len };
	skip_space(&s);
	if (*s.at == ',') {
		s.at++;
		skip_space(&s);
	}
	if (*s.at == '}' || *s.at == ']')
		return false;
	*ret_key = (struct json_view){ 0 };
	if (kind == '{') {
		from = s.at;
		scan_string(&s);
		*ret_key = (struct json_view){ from, (size_t)(s.at - from) };
		skip_space(&s);
		s.at++; /* ':' */
		skip_space(&s);
	}
	from = s.at;
	scan_value(&s, 0);
	*ret = (struct json_view){ from, (size_t)(s.at - from) };
	*pos = (size_t)(s.at - v.at);
	return true;
}

struct json_view json_view_get(struct json_view v, const char *key)
{
	struct json_view name, value;
	size_t pos = 0, n = strlen(key);
	char buf[64];

	if (json_view_kind(v) != '{')
		return (struct json_view){ 0 };
	while (json_view_next(v, &pos, &name, &value)) {
		if (json_view_string(name, buf, sizeof(buf)) != (int)n || memcmp(buf, key, n) != 0)
			continue;
		return json_view_kind(value) == 'n' ? (struct json_view){ 0 } : value;
	}
	return (struct json_view){ 0 };
}

static size_t put_utf8(char *to, unsigned int c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* One escape, *p behind its backslash. */
static unsigned int unescape(const char **p, const char *end)
{
	unsigned int c = (unsigned char)*(*p)++;

	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'u':
		c = (unsigned int)hex4(*p, end);
		*p += 4;
		if (c >= 0xd800 && c <= 0xdbff) {
			c = 0x10000 + ((c - 0xd800) << 10) + ((unsigned int)hex4(*p + 2, end) - 0xdc00);
			*p += 6;
		}
		return c;
	default:
		return c;
	}
}

int json_view_string(struct json_view v, char *buf, size_t size)
{
	const char *p, *end;
	size_t len = 0;

	if (json_view_kind(v) != '"')
		return -EINVAL;
	p = v.at + 1;
	end = v.at + v.len - 1;
	while (p < end) {
		char bytes[4];
		size_t n;

		if (*p == '\\') {
			unsigned int c;

			p++;
			c = unescape(&p, end);
			if (c == 0)
				return -EINVAL;
			n = put_utf8(bytes, c);
		} else {
			bytes[0] = *p++;
			n = 1;
		}
		if (len + n >= size)
			return -ENAMETOOLONG;
		memcpy(buf + len, bytes, n);
		len += n;
	}
	if (size == 0)
		return -ENAMETOOLONG;
	buf[len] = '\0';
	return (int)len;
}

int json_view_u64(struct json_view v, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (json_view_kind(v) != '0')
		return -EINVAL;
	for (size_t i = 0; i < v.len; i++) {
		unsigned int digit = (unsigned int)(v.at[i] - '0');

		if (digit > 9)
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
			return -ERANGE;
	}
	if (value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int json_view_i64(struct json_view v, int64_t min, int64_t max, int64_t *ret)
{
	struct json_view digits = v;
	bool negative = v.at && v.at[0] == '-';
	uint64_t value;
	int64_t result;
	int r;

	if (negative) { /* a number, as all that begins so in an accepted text */
		digits.at++;
		digits.len--;
	}
	r = json_view_u64(digits, INT64_MAX, &value);
	if (r < 0)
		return r;
	result = negative ? -(int64_t)value : (int64_t)value;
	if (result < min || result > max)
		return -ERANGE;
	*ret = result;
	return 0;
}

int json_view_bool(struct json_view v, bool *ret)
{
	char kind = json_view_kind(v);

	if (kind != 't' && kind != 'f')
		return -EINVAL;
	*ret = kind == 't';
	return 0;
}
