/** Comments of the status codes (RFC 4975 section 10, RFC 4976, RFC 7701). They carry no meaning on the wire (core C-005). */
const COMMENTS: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Timeout',
  413: 'Message Too Large',
  415: 'Unsupported Media Type',
  423: 'Interval Out-of-Bounds',
  424: 'Malformed Nickname',
  425: 'Nickname Reserved or In Use',
  428: 'Private Messages Not Supported',
  481: 'Session Does Not Exist',
  501: 'Not Implemented',
  506: 'Session Already In Use',
};

/** Comment for a status code; empty for an unknown one. */
export function statusComment(status: number): string {
  return COMMENTS[status] ?? '';
}
