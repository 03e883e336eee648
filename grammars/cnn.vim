" Vim syntax file for .cnn networks.
" Copy to ~/.vim/syntax/cnn.vim and add to ~/.vim/filetype.vim:
"   autocmd BufNewFile,BufRead *.cnn setfiletype cnn

if exists('b:current_syntax')
  finish
endif

syntax case match

" Of two patterns that match at the same place the later one wins.
syntax match cnnOperator /[-+*\/%<>=|]\|!=/
syntax match cnnNumber /\%(\w\)\@<!\%(\d\+\%(\.\d\+\)\?\|\.\d\+\)\%([eE][+-]\?\d\+\)\?/
syntax match cnnCall /\<\h\w*\ze\s*(/
syntax match cnnJoin /\<\%(add\|mul\|concat\|max\|average\)\ze\s*{/
syntax match cnnParameter /\<\h\w*\ze\s*==\@!/
syntax match cnnName /\h\w*/ contained
syntax match cnnLabel /\%(\<\h\w*\|{[^{}#]*}\w*\)\%({[^{}#]*}\w*\)*\ze\s*:/
syntax match cnnLabel /\%(\<\h\w*\)\?\%({[^{}#]*}\w*\)\+\ze\s*==\@!/

" A keyword wins over a match.
syntax keyword cnnDeclaration block network recipe input let layer output auxiliary
      \ nextgroup=cnnName skipwhite
syntax keyword cnnKeyword import from defaults if else for in repeat return
syntax keyword cnnWordOperator and or not
syntax keyword cnnBoolean true false

syntax match cnnString /"[^"]*"/
syntax match cnnComment /#.*$/ contains=@Spell

highlight default link cnnOperator Operator
highlight default link cnnNumber Number
highlight default link cnnCall Function
highlight default link cnnJoin Statement
highlight default link cnnParameter Identifier
highlight default link cnnName Type
highlight default link cnnLabel Label
highlight default link cnnDeclaration Statement
highlight default link cnnKeyword Statement
highlight default link cnnWordOperator Operator
highlight default link cnnBoolean Boolean
highlight default link cnnString String
highlight default link cnnComment Comment

let b:current_syntax = 'cnn'
